"""Makes the images that runs use, with or without a container registry: base, wheels, build."""

from simulator.images.build import TRAINING_IMAGE, ImageRecipe, ensure_image, ensure_training_image

__all__ = ["TRAINING_IMAGE", "ImageRecipe", "ensure_image", "ensure_training_image"]
