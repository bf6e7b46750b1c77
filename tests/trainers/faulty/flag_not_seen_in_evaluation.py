"""The training loop looks at the flag; the long evaluation that follows does not: goodfire-ai/spd #741, where none of six
preemptions was saved."""

import logging
import pickle
import signal
import time
from pathlib import Path

log = logging.getLogger(__name__)


class Preemption:
    requested = False

    @classmethod
    def install(cls):
        def handler(signum, frame):
            cls.requested = True

        signal.signal(signal.SIGTERM, handler)


def evaluate(model, batches=150):
    total = 0.0
    for _ in range(batches):
        time.sleep(0.03)
        total += abs(model)
    return total / batches


def main():
    logging.basicConfig(level=logging.INFO, format="%(asctime)s | %(message)s")
    Preemption.install()
    store = Path("/opt/ml/checkpoints/state.pkl")
    step, model = pickle.loads(store.read_bytes()) if store.exists() else (0, 3.0)
    while step < 80:
        step += 1
        model *= 0.98
        time.sleep(0.03)
        log.info("step %d, loss %.4f", step, model)
        if Preemption.requested:
            store.write_bytes(pickle.dumps((step, model)))
            return
        if step == 40:
            log.info("evaluating ...")
            log.info("mean absolute error: %.4f", evaluate(model))
    Path("/opt/ml/model/model.pkl").write_bytes(pickle.dumps(model))


main()
