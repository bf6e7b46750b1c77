"""Which log lines date a reaction, and how few of them are kept."""

from __future__ import annotations

import pytest

from simulator.core.reaction import LinesToKeep, speaks_of_the_end


@pytest.mark.parametrize(
    "line",
    [
        "SIGTERM received, saving",
        "caught signal 15",
        "[rank 0] Preempted! checkpointing now",
        "spot interruption notice found",
        "shutting down gracefully",
        "stop requested: stopping after this step",
        "Unable to shutdown process 7, forcefully exiting via Signals.SIGKILL",
    ],
)
def test_a_line_speaks_of_the_end(line: str) -> None:
    assert speaks_of_the_end(line)


@pytest.mark.parametrize(
    "line", ["step=7 loss=0.3", "signal-to-noise ratio 3.1", "epoch 3 done", "saving checkpoint", ""]
)
def test_a_line_of_the_usual_work_does_not(line: str) -> None:
    assert not speaks_of_the_end(line)


def test_a_noisy_script_does_not_fill_the_timeline() -> None:
    keep = LinesToKeep(most=20)
    kept = [line for line in [f"line {i}" for i in range(1000)] if keep.keeps(line)]
    assert len(kept) == 20


def test_what_speaks_of_the_end_is_kept_after_many_others() -> None:
    keep = LinesToKeep(most=2)
    assert [keep.keeps(line) for line in ("a", "b", "c", "SIGTERM!", "d", "SIGTERM!", "SIGTERM!")] == [
        *(True, True, False, True, False, True, False),
    ]


def test_a_line_that_a_metric_holds_already_is_not_kept_again_unless_it_speaks() -> None:
    keep = LinesToKeep()
    assert not keep.keeps("step=3", on_timeline=True)
    assert keep.keeps("step=3, terminating", on_timeline=True)
