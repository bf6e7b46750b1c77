"""Training survives losing its spot instance: what CI asks on every change."""

import pytest


@pytest.mark.interrupt("step=45")
def test_training_goes_on_after_a_warning(spot_simulator):
    assert spot_simulator().survived


@pytest.mark.interrupt("step=45", "step=85", profile="sudden", baseline=True)
def test_two_losses_without_any_warning_change_no_bit_of_the_model(spot_simulator):
    spot_simulator().assert_survived(tier=1)
