"""The folder whose `sitecustomize` a zygote's Python imports before it opens the script."""

from pathlib import Path

HOOK = Path(__file__).with_name("sitecustomize.py")
