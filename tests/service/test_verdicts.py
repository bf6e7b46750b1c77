"""What a served job's verdict is called: nothing that was not proved reads like a fault."""

from __future__ import annotations

import pytest

from simulator.service.verdicts import ON_DEMAND, STOPPED, verdict_told
from simulator.verdict import Answer, Reason, Verdict

NOTHING = Reason("nothing was interrupted", "the plan holds no interruption", "add --interrupt checkpoint=2")
FAULT = Reason("the script does not survive: SPOT001 no-checkpoint", "nothing was in S3", "save")
ENDED = Reason("the job ended Failed", "attempt 1 exited with 1", "read the log")


@pytest.mark.parametrize(
    ("verdict", "is_spot", "was_stopped", "told"),
    [
        (
            Verdict(Answer.ERROR, NOTHING, completed=True),
            True,
            False,
            "nothing proved: nothing was interrupted, as the plan holds no interruption",
        ),
        (Verdict(Answer.ERROR, NOTHING, completed=True), False, False, ON_DEMAND),
        (Verdict(Answer.FAILED, FAULT, completed=True), True, False, FAULT.what),
        (Verdict(Answer.FAILED, ENDED), True, False, "the job ended Failed: attempt 1 exited with 1"),
        (Verdict(Answer.FAILED, ENDED), True, True, STOPPED),
        (Verdict(Answer.FAILED, FAULT, completed=True), True, True, FAULT.what),  # the stop came too late
    ],
)
def test_a_verdict_in_words(verdict: Verdict, is_spot: bool, was_stopped: bool, told: str) -> None:
    assert verdict_told(verdict, is_spot, was_stopped) == told
