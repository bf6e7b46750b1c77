"""`python -m simulator.images`: build the training image and print its name and size."""

import subprocess

from simulator.images import ensure_training_image

name = ensure_training_image(progress=print)
size = subprocess.run(
    ["docker", "image", "inspect", "--format", "{{.Size}}", name], capture_output=True, text=True, check=True
)
print(f"{name}  {int(size.stdout) / 1e9:.2f} GB")
