#!/bin/bash
# The PyTorch loop beside this script, with whichever Python has PyTorch: the one that runs the simulator, or the
# system's (Debian's python3-torch; PyPI's wheel for x86 brings gigabytes of CUDA).
for python in python3 /usr/bin/python3; do
  "$python" -c 'import torch' 2>/dev/null && exec "$python" "$(dirname "$0")/pytorch/loop.py"
done
echo "no Python here has PyTorch" >&2
exit 1
