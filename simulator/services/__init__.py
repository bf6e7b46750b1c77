"""What a run needs beside the training job: an S3 (moto, in this process or by compose, or another's)."""
