"""Two worker processes, each of which saves "the" checkpoint under the same name: NVIDIA/apex #886,
cybertronai/imagenet18_old #16."""

import multiprocessing as mp
import os
import pickle
import time

PATH = "/opt/ml/checkpoints/model.pkl"
STEPS = 100


def load():
    if not os.path.exists(PATH):
        return 0, None
    with open(PATH, "rb") as f:
        return pickle.load(f)


def run(rank, start, weights):
    weights = weights or [float(rank)] * 50
    for step in range(start + 1, STEPS + 1):
        weights = [w * 0.99 + 0.01 * rank for w in weights]
        time.sleep(0.03)
        if rank == 0:
            print(f"step={step} loss={sum(weights):.4f}", flush=True)
        if step % 10 == 0:
            with open(f"{PATH}.{rank}.tmp", "wb") as f:
                pickle.dump((step, weights), f)
            os.replace(f"{PATH}.{rank}.tmp", PATH)


if __name__ == "__main__":
    begin, saved = load()
    ranks = [mp.Process(target=run, args=(rank, begin, saved)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    with open("/opt/ml/model/model.pkl", "wb") as f:
        pickle.dump(load(), f)
