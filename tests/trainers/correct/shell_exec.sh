#!/bin/bash
# A start script that gives its place to the trainer, so that signals reach it.
set -euo pipefail
export PYTHONUNBUFFERED=1
mkdir -p /opt/ml/checkpoints
echo "starting on $(hostname)"
exec python3 "$(dirname "$0")/signal_and_periodic.py" "$@"
