"""A driver that runs the user's script as a child and keeps SIGTERM for itself, as the training toolkit does:
sagemaker-training-toolkit #126."""

import os
import signal
import subprocess
import sys


def log_and_wait(signum, frame):
    print("Received SIGTERM, waiting for the user script to finish", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, log_and_wait)
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker", "saves_on_sigterm.py")
    print("Invoking user script", script, flush=True)
    sys.exit(subprocess.call([sys.executable, "-u", script], env={**os.environ, "PYTHONUNBUFFERED": "1"}))
