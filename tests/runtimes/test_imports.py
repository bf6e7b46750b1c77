"""What is read from a script's text of its imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.runtimes.process.imports import preload_of

TRAIN = Path(__file__).parents[2] / "train"


def statements(folder: Path, script: str, **own: str) -> list[str]:
    for name, text in {"train": script, **own}.items():
        file = folder / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return list(preload_of(folder, "train.py").statements)


def test_imports_come_in_the_order_of_the_text(tmp_path: Path) -> None:
    script = (
        "import numpy as np\nfrom keras import layers, models as m\nimport os.path\nfrom math import *\nimport numpy\n"
    )
    assert statements(tmp_path, script) == [
        "import numpy",
        "from keras import layers",
        "from keras import models",
        "import os.path",
        "import math",
    ]


def test_functions_branches_and_tried_imports_count(tmp_path: Path) -> None:
    script = (
        "try:\n    import torch\nexcept ImportError:\n    import jax\n"
        "def main():\n    import keras\n    if fast:\n        import numba\n"
        "if TYPE_CHECKING:\n    import pandas\nelse:\n    import polars\nclass C:\n    import re\n"
    )
    assert [s.split()[1] for s in statements(tmp_path, script)] == ["torch", "keras", "numba", "polars", "re"]


def test_own_modules_are_read_where_they_are_imported_and_never_run(tmp_path: Path) -> None:
    found = statements(
        tmp_path,
        "import first\nimport helper, package.part\nfrom package import other\nfrom __future__ import annotations\n",
        **{
            "helper": "import second\nimport train\nraise SystemExit\n",
            "package/__init__": "import third\n",
            "package/part": "from . import sibling\nfrom .sibling import thing\nimport fourth\n",
            "package/sibling": "import fifth\nfrom ..above import nothing\n",
            "package/other": "import sixth\n",
        },
    )
    assert [s.split()[1] for s in found] == ["first", "second", "third", "fifth", "fourth", "sixth"]


def test_a_folder_of_data_hides_no_library(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    assert statements(tmp_path, "import datasets\nimport parts.one\n", **{"parts/one": "import a\n"}) == [
        "import datasets",
        "import a",
    ]
    assert preload_of(tmp_path, "train.py").own == {"train"}


def test_what_the_script_sets_by_constants_is_set_before_what_comes_after(tmp_path: Path) -> None:
    script = (
        "import os\nfrom os import environ\nimport a\nos.environ['A'] = '1'\nenviron.setdefault('B', '2')\n"
        "os.environ.update({'C': '3'}, D='4')\nos.putenv('E', '5')\ndel os.environ['F']\nimport b\n"
    )
    assert statements(tmp_path, script)[3:] == [
        "os.environ['A'] = '1'",
        "os.environ.setdefault('B', '2')",
        "os.environ.update({'C': '3'}, D='4')",
        "os.putenv('E', '5')",
        "os.environ.pop('F', None)",
        "import b",
    ]


@pytest.mark.parametrize(
    "setting",
    [
        "os.environ['A'] = str(1)",
        "os.environ[name] = '1'",
        "os.environ.update(settings)",
        "os.environ.setdefault('A', value)",
        "os.environ['A'] += ':more'",
    ],
)
def test_where_only_running_tells_what_is_set_the_list_ends(setting: str, tmp_path: Path) -> None:
    assert statements(tmp_path, f"import a\n{setting}\nimport b\n") == ["import a"]


def test_an_own_module_that_cannot_be_read_ends_the_list(tmp_path: Path) -> None:
    assert statements(tmp_path, "import a\nimport helper\nimport b\n", helper="import c\n(") == ["import a"]


def test_the_bundled_trainer_sets_tensorflows_switches_before_it_is_imported() -> None:
    found = preload_of(TRAIN, "train.py").statements
    switch = found.index("os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')")
    assert switch < found.index("import keras") < found.index("import tensorflow")
    assert not [statement for statement in found if "resumable" in statement]
