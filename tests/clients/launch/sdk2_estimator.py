"""SDK v2 with an image of one's own: Estimator(...).fit() on spot, script mode by the image's toolkit."""

import sys

from sagemaker.estimator import Estimator
from seen import tell

estimator = Estimator(
    image_uri=sys.argv[2],
    entry_point="train.py",
    source_dir=sys.argv[1],
    role="arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole",
    instance_type="ml.m5.large",
    instance_count=1,
    use_spot_instances=True,
    max_run=3600,
    max_wait=7200,
    checkpoint_s3_uri="s3://launches/estimator/checkpoints/",
)
estimator.fit(logs="All")
attached = Estimator.attach(estimator.latest_training_job.name, sagemaker_session=estimator.sagemaker_session)
assert attached.model_data == estimator.model_data
tell(estimator.latest_training_job.name)
