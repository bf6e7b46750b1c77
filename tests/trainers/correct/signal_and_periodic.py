"""The careful one: a flag set by SIGTERM and looked at in every step, and regular saves besides."""

import json
import logging
import os
import pathlib
import random
import signal
import sys
import tempfile
import time


class Trainer:
    def __init__(self, directory="/opt/ml/checkpoints", total=100, every=12):
        self.directory = pathlib.Path(directory)
        self.total, self.every = total, every
        self.logger = logging.getLogger("trainer")
        self.stop_requested = False
        self.iteration = 0
        self.rng = random.Random(42)
        self.theta = [0.0] * 20

    def on_sigterm(self, signum, frame):
        self.stop_requested = True

    @property
    def path(self):
        return self.directory / "trainer-state.json"

    def save(self):
        state = {"iteration": self.iteration, "theta": self.theta, "rng": self.rng.getstate()}
        with tempfile.NamedTemporaryFile("w", dir=self.directory, prefix=".tmp-", delete=False) as f:
            json.dump(state, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(f.name, self.path)
        self.logger.info("saved at iteration %d", self.iteration)

    def load(self):
        if not self.path.exists():
            return
        state = json.loads(self.path.read_text())
        version, internal, gauss = state["rng"]
        self.rng.setstate((version, tuple(internal), gauss))
        self.iteration, self.theta = state["iteration"], state["theta"]
        self.logger.info("resuming after iteration %d", self.iteration)

    def run(self):
        signal.signal(signal.SIGTERM, self.on_sigterm)
        self.load()
        while self.iteration < self.total:
            self.theta = [t + 0.01 * self.rng.gauss(0, 1) for t in self.theta]
            time.sleep(0.03)
            self.iteration += 1
            energy = sum(t * t for t in self.theta)
            self.logger.info("iteration %d/%d energy %.5f", self.iteration, self.total, energy)
            if self.iteration % self.every == 0 or self.stop_requested:
                self.save()
            if self.stop_requested:
                self.logger.warning("SIGTERM: leaving")
                sys.exit(0)
        pathlib.Path("/opt/ml/model/theta.json").write_text(json.dumps(self.theta))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="[%(levelname).1s %(asctime)s] %(message)s")
    Trainer().run()
