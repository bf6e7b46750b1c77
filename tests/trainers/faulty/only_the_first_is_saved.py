"""Saves only where no file is yet, so the first checkpoint is the only one: as huggingface/transformers #11390 looked to
its users, and sagemaker-python-sdk #3062, where the copy to S3 stood still at epoch 18."""

import logging
import pathlib
import time

logging.basicConfig(level="INFO", format="%(levelname)s:%(name)s:%(message)s")
logger = logging.getLogger("fit")
target = pathlib.Path("/opt/ml/checkpoints/checkpoint.txt")

step = int(target.read_text()) if target.exists() else 0
while step < 150:
    step += 1
    time.sleep(0.025)
    logger.info("step=%d loss=%.4f", step, 10 / (step + 10))
    if step % 10 == 0 and not target.exists():
        target.write_text(str(step))
pathlib.Path("/opt/ml/model/model.txt").write_text(str(step))
