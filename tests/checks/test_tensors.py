"""Roles by names that frameworks and scripts use, and by form where a name tells nothing."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.checks.tensors import Role, role_of

FLOATS = {"shape": [4, 3], "dtype": "float32", "digest": "d"}
COUNT: dict[str, Any] = {"shape": [], "dtype": "int64", "digest": "d", "value": 7}


@pytest.mark.parametrize(
    ("name", "facts", "role"),
    [
        ("optimizer/_iterations", COUNT, Role.UPDATES),
        ("model.weights.h5/optimizer/vars/0", COUNT, Role.UPDATES),
        ("model.weights.h5/optimizer/vars/2", FLOATS, Role.OPTIMIZER),
        ("optimizer/_variables/2", FLOATS, Role.OPTIMIZER),
        ("optimizer.state.0.exp_avg", FLOATS, Role.OPTIMIZER),
        ("optimizer.state.0.step", COUNT, Role.UPDATES),
        ("optimizer.param_groups.0.lr", FLOATS, Role.RATE),
        ("optimizer/_learning_rate", FLOATS, Role.RATE),
        ("scheduler.last_epoch", COUNT, Role.RATE),
        ("velocity", FLOATS, Role.OPTIMIZER),
        ("m", FLOATS, Role.OPTIMIZER),
        ("layers/dense/vars/0", FLOATS, Role.WEIGHTS),
        ("model.layer1.weight", FLOATS, Role.WEIGHTS),
        ("dense/kernel", FLOATS, Role.WEIGHTS),
        ("w", FLOATS, Role.WEIGHTS),
        ("rng_state", FLOATS, Role.RANDOM),
        ("seed_generator/state", FLOATS, Role.RANDOM),
        ("numpy_random", FLOATS, Role.RANDOM),
        ("variable_3", {"shape": [2], "dtype": "uint32", "digest": "d"}, Role.RANDOM),
        ("variable_5", {"shape": [2], "dtype": "int64", "digest": "d"}, Role.RANDOM),
        ("variable_9", COUNT, Role.UPDATES),
        ("variable_1", FLOATS, Role.UNNAMED),
        ("step", COUNT, Role.POSITION),
        ("epoch", COUNT, Role.POSITION),
        ("metric_0", FLOATS, Role.METRIC),
    ],
)
def test_a_role_is_read_from_the_name_or_the_form(name: str, facts: dict[str, Any], role: Role) -> None:
    assert role_of(name, facts) is role
