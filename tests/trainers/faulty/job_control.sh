#!/bin/bash
# Runs the trainer in the background with job control, copies its log, and waits for it; nothing passes SIGTERM on.
# sagemaker-training-toolkit #173.
set -m
: > /tmp/train.log
here=$(cd "$(dirname "$0")" && pwd)
python3 -u "$here/worker/saves_on_sigterm.py" >> /tmp/train.log 2>&1 &
child=$!
tail -f -n +1 --pid="$child" /tmp/train.log
wait "$child"
