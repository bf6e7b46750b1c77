"""Which local image runs where a job names one of AWS's; nothing is pulled from there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from simulator.core.errors import UsageError

BUNDLED = "bundled"
"""In a table: the bundled training image, which is built when it is first needed."""

_ECR = re.compile(r"^\d{12}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|on\.aws)/")
_FRAMEWORK = "*/tensorflow-training:*"  # AWS's Deep Learning Containers for training with TensorFlow
_FRAMEWORK_OLD = "*/sagemaker-tensorflow-scriptmode:*"  # the name before TensorFlow 2


@dataclass(frozen=True)
class ImageMapping:
    """URIs that match `pattern` (shell wildcards, case counts) run as `image`."""

    pattern: str
    image: str

    @classmethod
    def parse(cls, text: str) -> ImageMapping:
        """URI=IMAGE, at the last equals sign that a pattern before it leaves. Raises UsageError."""
        pattern, equals, image = text.partition("=")
        if not equals or not pattern.strip() or not image.strip():
            raise UsageError(
                f"--image-map {text!r} is not URI=IMAGE",
                "it says which local image runs where a job names URI; URI may have wildcards",
                "--image-map '*/tensorflow-training:*=my-image:latest'",
            )
        return cls(pattern.strip(), image.strip())


DEFAULTS = (ImageMapping(_FRAMEWORK, BUNDLED), ImageMapping(_FRAMEWORK_OLD, BUNDLED))


@dataclass(frozen=True)
class ImageMap:
    """The user's mappings in their order, then the defaults: SDK's TensorFlow images are the bundled one."""

    own: tuple[ImageMapping, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> ImageMap:
        """The map of repeated --image-map options. Raises UsageError."""
        return cls(tuple(ImageMapping.parse(text) for text in texts))

    def local_image(self, uri: str) -> str:
        """The image to run: mapped, or `uri` itself, which is then an image of this machine or another registry's.

        Raises UsageError for an image of Amazon's registry that nothing is mapped to.
        """
        for mapping in (*self.own, *DEFAULTS):
            if mapping.pattern == uri or fnmatchcase(uri, mapping.pattern):
                return mapping.image
        if is_ecr(uri):
            raise UsageError(
                f"no local image is known for {uri}",
                "nothing is pulled from AWS, and only its TensorFlow training images have a stand-in here",
                f"--image-map '{uri}=IMAGE' with an image of this machine",
            )
        return uri


def is_ecr(uri: str) -> bool:
    """Whether an image URI names a registry of Amazon's."""
    return _ECR.match(uri) is not None
