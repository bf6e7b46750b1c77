"""Which local image runs in the place of one of AWS's."""

import pytest

from simulator.core.errors import UsageError
from simulator.service.image_map import BUNDLED, ImageMap

TENSORFLOW = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:2.14-cpu-py310"
PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.3-cpu-py311"


def test_the_sdks_tensorflow_images_are_the_bundled_one() -> None:
    assert ImageMap().local_image(TENSORFLOW) == BUNDLED


def test_a_users_mapping_comes_before_the_defaults_and_the_first_that_fits_counts() -> None:
    mapped = ImageMap.parse(["*/tensorflow-training:2.14-*=mine:1", "*/tensorflow-training:*=mine:2"])
    assert mapped.local_image(TENSORFLOW) == "mine:1"


def test_an_exact_uri_may_hold_what_would_be_a_wildcard() -> None:
    assert ImageMap.parse(["a[b]:1=mine:1"]).local_image("a[b]:1") == "mine:1"


def test_an_image_of_this_machine_is_itself() -> None:
    assert ImageMap().local_image("my-image:latest") == "my-image:latest"


def test_an_image_of_amazons_registry_is_not_pulled_and_the_refusal_says_what_to_type() -> None:
    with pytest.raises(UsageError) as refused:
        ImageMap().local_image(PYTORCH)
    assert f"--image-map '{PYTORCH}=IMAGE'" in refused.value.next_step


@pytest.mark.parametrize("text", ["mine:1", "=mine:1", "uri=", " = "])
def test_a_mapping_without_two_sides_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        ImageMap.parse([text])
