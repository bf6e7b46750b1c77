"""The SageMaker API of training jobs, with spot, on this machine; every other service is moto's, in one process."""
