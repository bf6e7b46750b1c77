"""Scikit-learn on a stream: partial_fit chunk by chunk, joblib dumps swapped in by a rename."""

import logging
import os
import time

import joblib
import numpy as np
from sklearn.linear_model import SGDClassifier

logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s: %(message)s", level=logging.INFO)
log = logging.getLogger("stream")

STATE = "/opt/ml/checkpoints/sgd.joblib"
CHUNKS = 60


def chunk(i):
    rng = np.random.default_rng([2024, i])
    features = rng.normal(size=(40, 10))
    return features, (features[:, :3].sum(axis=1) > 0).astype(int)


def main():
    if os.path.exists(STATE):
        clf, done = joblib.load(STATE)
        log.info("picked up the classifier after %d chunks", done)
    else:
        clf, done = SGDClassifier(loss="log_loss", random_state=0), 0
    for i in range(done, CHUNKS):
        features, labels = chunk(i)
        clf.partial_fit(features, labels, classes=[0, 1])
        time.sleep(0.05)
        log.info("chunk %d/%d accuracy %.3f", i + 1, CHUNKS, clf.score(features, labels))
        if (i + 1) % 6 == 0:
            joblib.dump((clf, i + 1), STATE + ".tmp")
            os.replace(STATE + ".tmp", STATE)
    joblib.dump(clf, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))


if __name__ == "__main__":
    main()
