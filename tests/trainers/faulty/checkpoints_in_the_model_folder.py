"""Its output_dir is /opt/ml/model: the checkpoints never go to S3 while it trains, and make a huge model.tar.gz at the
end: huggingface/notebooks PR #138."""

import json
import os
import time

output_dir = os.environ["SM_MODEL_DIR"]


def last_checkpoint():
    folders = [d for d in os.listdir(output_dir) if d.startswith("checkpoint-")]
    return max(folders, key=lambda d: int(d.rpartition("-")[2]), default=None)


step = 0
if folder := last_checkpoint():
    step = json.load(open(f"{output_dir}/{folder}/trainer_state.json"))["global_step"]
while step < 100:
    step += 1
    time.sleep(0.025)
    if step % 5 == 0:
        print(f"{{'loss': {2 / step:.4f}, 'epoch': {step / 50:.2f}}} step: {step}", flush=True)
    if step % 20 == 0:
        folder = f"{output_dir}/checkpoint-{step}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/pytorch_model.bin", "wb") as f:
            f.write(os.urandom(20_000))
        with open(f"{folder}/trainer_state.json", "w") as f:
            json.dump({"global_step": step}, f)
with open(f"{output_dir}/pytorch_model.bin", "wb") as f:
    f.write(os.urandom(20_000))
