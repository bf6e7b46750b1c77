"""A training loop in NumPy as users write one, and what can be forgotten in it: each change is one bug, or one habit.

It trains a linear model by stochastic gradient descent with momentum, a falling learning rate, noise on its data
(augmentation) and an order of samples that is drawn anew for each epoch, and tells its samples.
"""

from __future__ import annotations

WHOLE = """
import os, time
import numpy as np
FOLDER, MODEL = "/opt/ml/checkpoints", "/opt/ml/model/model.npz"
SIZE, EACH, EPOCHS, SEED = 40, 4, 10, 5
PER_EPOCH, STEPS = SIZE // EACH, EPOCHS * SIZE // EACH
data = np.random.default_rng(1)
x = data.normal(size=(SIZE, 6))
y = x @ data.normal(size=6) + 0.1 * data.normal(size=SIZE)

rng = np.random.default_rng(SEED)
w, velocity, step = np.zeros(6), np.zeros(6), 0

def save():
    path = f"{FOLDER}/ckpt-{step:04d}.npz"
    with open(path + ".tmp", "wb") as file:
        np.savez(file, w=w, velocity=velocity, step=step, saved_at=time.time(),
                 rng_state=np.array(str(rng.bit_generator.state)))
    os.replace(path + ".tmp", path)

names = sorted(name for name in os.listdir(FOLDER) if name.endswith(".npz"))
if names:
    with np.load(f"{FOLDER}/{names[-1]}") as state:
        w, step = state["w"], int(state["step"])
        velocity = state["velocity"]
        rng.bit_generator.state = eval(str(state["rng_state"]))
began = 0

while step < STEPS:
    epoch, batch = divmod(step, PER_EPOCH)
    order = np.random.default_rng([SEED, epoch]).permutation(SIZE)
    chosen = order[batch * EACH : (batch + 1) * EACH]
    lr = 0.05 * 0.99 ** (step - began)
    features = x[chosen] + 0.05 * rng.normal(size=(EACH, 6))
    error = features @ w - y[chosen]
    velocity = 0.8 * velocity - lr * features.T @ error / EACH
    w = w + velocity
    step += 1
    print(f"step={step} loss={float(error @ error)!r} lr={lr!r}", flush=True)
    print(f"sample-ids epoch={epoch} step={step}: " + " ".join(map(str, chosen)), flush=True)
    if step % 7 == 0:
        save()
    time.sleep(0.04)
save()
np.savez(MODEL, w=w)
"""


def changed(*changes: tuple[str, str]) -> str:
    """The script with parts replaced, each of which must be there."""
    script = WHOLE
    for before, after in changes:
        assert script.count(before) == 1, before
        script = script.replace(before, after)
    return script


WITHOUT_IDS = (
    '    print(f"sample-ids epoch={epoch} step={step}: " + " ".join(map(str, chosen)), flush=True)\n',
    "",
)
FORGETS_VELOCITY = changed(('        velocity = state["velocity"]\n', ""))
RESTARTS_SCHEDULE = changed(("began = 0\n", "began = step\n"))
FORGETS_RANDOM_STATE = changed(('        rng.bit_generator.state = eval(str(state["rng_state"]))\n', ""))
BEGINS_EPOCH_AGAIN = changed(
    ("began = 0\n", "began, first = 0, step\n"),
    (
        "divmod(step, PER_EPOCH)\n",
        "divmod(step, PER_EPOCH)\n    if epoch == first // PER_EPOCH:\n        batch -= first % PER_EPOCH\n",
    ),
)
BEGINS_EPOCH_AGAIN_UNTOLD = BEGINS_EPOCH_AGAIN.replace(*WITHOUT_IDS)
NEVER_THE_SAME = changed(("np.random.default_rng(SEED)\n", "np.random.default_rng()\n"))
