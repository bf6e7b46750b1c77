#!/bin/bash
# A start script that stays in front of its trainer: bash as PID 1 drops SIGTERM while the child runs.
# sagemaker-training-toolkit #125.
set -e
export PYTHONUNBUFFERED=1
echo "node $(hostname), $(nproc) cpus"
python3 "$(dirname "$0")/worker/saves_on_sigterm.py"
echo "training finished"
