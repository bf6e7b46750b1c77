"""Asks for the epochs that are left, so that the log counts them from one again: "Epoch 1/5" where it had been "3/8"."""

import os
import pickle
import time

EPOCHS = 12
path = "/opt/ml/checkpoints/estimator.pkl"


class Estimator:
    def __init__(self):
        self.coef, self.epochs_done = 0.0, 0

    def fit(self, epochs):
        for epoch in range(epochs):
            for _ in range(10):
                self.coef += 0.02 * (1 - self.coef)
                time.sleep(0.035)
            self.epochs_done += 1
            print(f"Epoch {epoch + 1}/{epochs} - loss: {1 - self.coef:.4f}", flush=True)
            with open(path + ".tmp", "wb") as f:
                pickle.dump(self, f)
            os.replace(path + ".tmp", path)


estimator = Estimator()
if os.path.exists(path):
    with open(path, "rb") as f:
        estimator = pickle.load(f)
estimator.fit(EPOCHS - estimator.epochs_done)
with open("/opt/ml/model/estimator.pkl", "wb") as f:
    pickle.dump(estimator, f)
