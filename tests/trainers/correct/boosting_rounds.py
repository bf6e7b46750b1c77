"""Gradient boosting by rounds, in XGBoost's manner: an ensemble that grows, saved whole every few rounds."""

import json
import os
import re
import sys
import time

import numpy as np

OUT = "/opt/ml/checkpoints"
PATTERN = re.compile(r"^boost\.(\d+)\.json$")


def stump(x, residual):
    best = None
    for column in range(x.shape[1]):
        for cut in (-0.5, 0.0, 0.5):
            left = x[:, column] < cut
            lo, hi = residual[left].mean(), residual[~left].mean()
            sse = ((residual - np.where(left, lo, hi)) ** 2).sum()
            if best is None or sse < best[0]:
                best = (sse, column, cut, float(lo), float(hi))
    return list(best[1:])


def predict(trees, x):
    out = np.zeros(len(x))
    for column, cut, lo, hi in trees:
        out += 0.3 * np.where(x[:, column] < cut, lo, hi)
    return out


def latest():
    rounds = [int(m.group(1)) for m in map(PATTERN.match, os.listdir(OUT)) if m] if os.path.isdir(OUT) else []
    return max(rounds) if rounds else None


rng = np.random.default_rng(99)
X = rng.uniform(-1, 1, (300, 5))
Y = X[:, 0] ** 2 + np.abs(X[:, 1]) - X[:, 2]

trees = []
if (r := latest()) is not None:
    trees = json.load(open(f"{OUT}/boost.{r}.json"))["trees"]
    sys.stderr.write(f"[xgb] continuing a booster of {len(trees)} trees\n")

while len(trees) < 130:
    trees.append(stump(X, Y - predict(trees, X)))
    time.sleep(0.03)
    sys.stderr.write(f"[{len(trees)}]\ttrain-rmse:{np.sqrt(((Y - predict(trees, X)) ** 2).mean()):.5f}\n")
    if len(trees) % 8 == 0:
        os.makedirs(OUT, exist_ok=True)
        name = f"{OUT}/boost.{len(trees)}.json"
        with open(name + ".sagemaker-ignore", "w") as f:
            json.dump({"trees": trees}, f)
        os.rename(name + ".sagemaker-ignore", name)
        for old in os.listdir(OUT):
            if (m := PATTERN.match(old)) and int(m.group(1)) < len(trees) - 16:
                os.remove(f"{OUT}/{old}")

json.dump(trees, open("/opt/ml/model/xgboost-model", "w"))
