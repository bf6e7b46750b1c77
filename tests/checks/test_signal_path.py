"""SIGTERM's way: who had a handler, who got it, who swallowed it, when it was answered, and the line that mends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from simulator.checks.signal_path import SignalPath, signal_path
from simulator.core.timeline import Kind
from tests.checks.build import BASH_DRIVER, NO_HANDLER, SCRIPT_AS_PID_1, Attempt, Run, process, train

Processes = Sequence[Mapping[str, Any]]
Afterwards = Callable[[Attempt], None]

TRAINS = process(7, 1, "/usr/bin/python3 /opt/ml/code/train.py", catches_sigterm=True, pends_sigterm=False)
TRAINS_WITHOUT_HANDLER = process(7, 1, "python train.py", pends_sigterm=False)
SHELL = process(1, 0, "/bin/bash /opt/ml/code/run.sh")
SHELL_FORM = process(1, 0, "/bin/sh -c python train.py")
TOOLKIT = process(1, 0, "/usr/bin/python3 /usr/local/bin/train")
TORCHRUN = process(1, 0, "/usr/bin/python3 /usr/local/bin/torchrun train.py", catches_sigterm=True)
LAUNCHER = process(1, 0, "python launch.py", catches_sigterm=True)
TINI = process(1, 0, "tini -g -- python train.py", blocks_sigterm=True, pends_sigterm=False)


def path_of(processes: Processes, afterwards: Afterwards, save_every: int = 0) -> SignalPath:
    run = Run(interrupt="step=20", profile="sagemaker")
    with run.attempt() as attempt:
        train(attempt, 1, 21, save_every=save_every)
        attempt.trigger()
        attempt.sigterm(processes)
        afterwards(attempt)
    path = signal_path(run.evidence(), 1)
    assert path is not None
    return path


def killed(*looks: Mapping[str, Any]) -> Afterwards:
    """The instance is taken 120 s later; the processes of each look were there at 1 s, 2 s …"""

    def afterwards(attempt: Attempt) -> None:
        for _ in range(2):
            attempt.wait(1)
            if looks:
                attempt.look(*looks)
        attempt.wait(118)
        attempt.kill()

    return afterwards


def saves_and_leaves(attempt: Attempt) -> None:
    attempt.wait(2)
    attempt.save("ckpt.npz")
    attempt.exit_after_sigterm(0, flush=1)


def dispositions(path: SignalPath) -> list[tuple[str, str, bool | None, bool]]:
    return [(hop.kind.value, hop.disposition.value, hop.got, hop.swallowed) for hop in path.hops]


def test_a_script_as_pid_1_gets_it_and_its_answer_is_dated() -> None:
    path = path_of(SCRIPT_AS_PID_1, saves_and_leaves)
    assert dispositions(path) == [("python", "caught", True, False)]
    assert path.hops[0].acted_after_seconds == 2.0
    assert path.hops[0].ended_after_seconds == 2.1
    assert path.story == "SIGTERM reached PID 1 (python train.py), which reacted after 2.0 s, and was gone after 2.1 s."
    assert path.fix is None


def test_a_log_line_is_an_answer() -> None:
    def says(attempt: Attempt) -> None:
        attempt.wait(0.5)
        attempt.add(Kind.LOG_LINE, line="validating, batch 7")
        attempt.wait(0.5)
        attempt.add(Kind.LOG_LINE, line="SIGTERM received, will save after this epoch")
        attempt.wait(100)
        attempt.kill()

    assert path_of(SCRIPT_AS_PID_1, says).hops[0].acted_after_seconds == 1.0


def test_a_pid_1_without_a_handler_never_gets_it() -> None:
    path = path_of(NO_HANDLER, killed())
    assert dispositions(path) == [("python", "default", False, False)]
    assert "the kernel discards it" in path.story
    assert path.fix is not None and path.fix.startswith("signal.signal(signal.SIGTERM")


def test_outside_a_namespace_a_process_without_a_handler_dies_of_it() -> None:
    alone = [process(4711, 12, "python train.py")]
    path = path_of(alone, lambda attempt: attempt.exit_after_sigterm(143))
    assert dispositions(path) == [("python", "default", True, False)]


@pytest.mark.parametrize(
    ("root", "kind", "fix"),
    [
        (SHELL, "shell", "exec python3 /opt/ml/code/train.py"),
        (SHELL_FORM, "shell", 'ENTRYPOINT ["python3", "/opt/ml/code/train.py"]   # exec form'),
        (TOOLKIT, "toolkit", 'ENTRYPOINT ["python3", "/opt/ml/code/train.py"]   # exec form'),
        (process(1, 0, "python launch.py"), "python", "child.send_signal(signal.SIGTERM)"),
        (process(1, 0, "python /usr/local/bin/accelerate launch train.py"), "launcher", "or torchrun before it"),
    ],
    ids=["script", "shell-form", "toolkit", "driver", "accelerate"],
)
def test_who_stands_before_the_script_swallows_it(root: Mapping[str, Any], kind: str, fix: str) -> None:
    path = path_of([root, TRAINS], killed(root, TRAINS))
    assert dispositions(path) == [(kind, "default", False, True), ("python", "caught", False, False)]
    assert "the handler of PID 7 (python3 train.py) never ran" in path.story
    assert path.fix is not None and fix in path.fix
    assert [hop.acted_after_seconds for hop in path.hops] == [None, None]
    assert [hop.ended_after_seconds for hop in path.hops] == [120.0, 120.0]


def test_the_sdks_driver_scripts_are_known_and_cannot_be_changed() -> None:
    path = path_of(BASH_DRIVER, killed())
    assert [hop.kind.value for hop in path.hops] == ["toolkit", "toolkit", "python"]
    assert [hop.swallowed for hop in path.hops] == [True, False, False]
    assert path.fix is not None and path.fix.startswith('ENTRYPOINT ["python", "/opt/ml/code/train.py"]')
    assert "without SourceCode" in path.fix


def test_the_toolkits_way_of_starting_a_script_is_told_as_a_person_would_type_it() -> None:
    script = process(7, 1, "/opt/venv/bin/python -- train.py --epochs 3", catches_sigterm=True, pends_sigterm=False)
    path = path_of([TOOLKIT, script], killed(TOOLKIT, script))
    assert path.fix is not None
    assert path.fix.startswith('ENTRYPOINT ["python", "/opt/ml/code/train.py", "--epochs", "3"]')


def test_a_shell_swallows_it_also_where_no_handler_waits() -> None:
    path = path_of([SHELL, TRAINS_WITHOUT_HANDLER], killed(SHELL, TRAINS_WITHOUT_HANDLER))
    assert [(hop.got, hop.swallowed) for hop in path.hops] == [(False, True), (False, False)]
    assert "PID 7 (python train.py) never got it" in path.story


def test_a_shell_that_died_of_it_took_its_child_along() -> None:
    shell = process(100, 12, "bash run.sh")
    path = path_of(
        [shell, process(107, 100, "python train.py", catches_sigterm=True)], lambda a: a.exit_after_sigterm(143)
    )
    assert [(hop.got, hop.swallowed) for hop in path.hops] == [(True, True), (False, False)]


def test_an_init_passes_it_on() -> None:
    def afterwards(attempt: Attempt) -> None:
        attempt.wait(0.3)
        attempt.look(TINI, TRAINS)
        saves_and_leaves(attempt)

    path = path_of([TINI, TRAINS], afterwards)
    assert dispositions(path) == [("init", "blocked", True, False), ("python", "caught", True, False)]
    assert path.story.startswith("SIGTERM went from PID 1 (tini -g -- python train.py) to PID 7 (python3 train.py)")


def test_a_signal_that_a_mask_holds_back_is_pending() -> None:
    masked = process(1, 0, "python train.py", catches_sigterm=True, blocks_sigterm=True)
    path = path_of([masked], killed({**masked, "pends_sigterm": True}))
    assert (path.hops[0].got, path.hops[0].pending) == (False, True)
    assert "still pending" in path.story
    assert path.fix is not None and "SIG_UNBLOCK" in path.fix


def test_a_child_that_blocks_what_was_passed_on_is_not_taken_for_unreached() -> None:
    masked = {**TRAINS, "blocks_sigterm": True, "pends_sigterm": True}
    path = path_of([LAUNCHER, TRAINS], killed(LAUNCHER, masked))
    assert [(hop.got, hop.swallowed, hop.pending) for hop in path.hops] == [(True, False, None), (False, False, True)]


def test_without_looks_nobody_says_that_it_was_pending() -> None:
    masked = process(1, 0, "python train.py", blocks_sigterm=True)
    hop = path_of([masked], killed()).hops[0]
    assert (hop.got, hop.pending) == (None, None)


def cut_short(line: str = "", code: int = 1) -> Afterwards:
    """The launcher takes its child away after 30 s, and leaves."""

    def afterwards(attempt: Attempt) -> None:
        attempt.wait(25)
        attempt.look(TORCHRUN, TRAINS)
        attempt.wait(5)
        if line:
            attempt.add(Kind.LOG_LINE, line=line)
        attempt.wait(2)
        attempt.look(TORCHRUN)
        attempt.exit_after_sigterm(code)

    return afterwards


@pytest.mark.parametrize(
    "afterwards",
    [
        cut_short("Unable to shutdown process 7 via Signals.SIGTERM, forcefully exiting via Signals.SIGKILL"),
        cut_short(code=137),
    ],
    ids=["said", "code"],
)
def test_a_launcher_that_does_not_wait_is_named(afterwards: Afterwards) -> None:
    path = path_of([TORCHRUN, TRAINS], afterwards)
    assert path.cut_by_launcher
    assert dispositions(path)[1] == ("python", "caught", True, False)
    assert path.hops[1].ended_after_seconds == 32.0
    assert path.fix is not None and "--shutdown-timeout" in path.fix


def test_a_child_that_leaves_by_itself_was_not_cut() -> None:
    assert not path_of([TORCHRUN, TRAINS], cut_short()).cut_by_launcher


def test_a_child_that_had_saved_before_it_was_ended_lost_nothing() -> None:
    def afterwards(attempt: Attempt) -> None:
        attempt.wait(1)
        attempt.save("ckpt.npz")
        cut_short("forcefully exiting via Signals.SIGKILL", 137)(attempt)

    assert not path_of([TORCHRUN, TRAINS], afterwards).cut_by_launcher


def test_a_save_left_under_its_temporary_name_was_cut() -> None:
    def afterwards(attempt: Attempt) -> None:
        attempt.wait(1)
        attempt.save("state.pt.tmp", write=1)
        attempt.exit_after_sigterm(1)

    path = path_of([LAUNCHER, TRAINS], afterwards)
    assert path.cut_by_launcher
    assert path.fix is not None and "child.wait(timeout=110)" in path.fix


def test_a_pid_that_was_given_again_is_another_process() -> None:
    child = {**TRAINS, "started": 100}

    def afterwards(attempt: Attempt) -> None:
        attempt.wait(1)
        attempt.look(TORCHRUN, {**child, "started": 900})
        attempt.wait(1)
        attempt.exit_after_sigterm(0)

    assert path_of([TORCHRUN, child], afterwards).hops[1].ended_after_seconds == 1.0


def test_a_worker_of_the_script_is_not_the_script() -> None:
    tree = [
        *SCRIPT_AS_PID_1,
        process(8, 1, "python -c from multiprocessing.spawn import spawn_main", catches_sigterm=True),
    ]
    assert len(path_of(tree, saves_and_leaves).hops) == 1


def test_where_nothing_tells_the_answer_is_open() -> None:
    quiet = process(1, 0, "supervisor train", catches_sigterm=True)
    path = path_of([quiet, process(5, 1, "worker"), process(9, 5, "python train.py", catches_sigterm=True)], killed())
    assert [hop.got for hop in path.hops] == [True, None, None]
    assert not any(hop.swallowed for hop in path.hops)


def test_a_launchers_own_words_do_not_say_that_its_child_heard() -> None:
    def afterwards(attempt: Attempt) -> None:
        attempt.wait(1)
        attempt.add(Kind.LOG_LINE, line="launch.py received SIGTERM")
        attempt.wait(119)
        attempt.kill()

    quiet = process(1, 0, "supervisor train", catches_sigterm=True)
    path = path_of([quiet, process(5, 1, "worker"), process(9, 5, "python train.py", catches_sigterm=True)], afterwards)
    assert [(hop.got, hop.acted_after_seconds) for hop in path.hops] == [(True, 1.0), (None, None), (None, None)]
    assert "nothing shows whether it came to PID 9" in path.story


def test_how_far_it_came_is_told_where_who_stopped_it_is_not_known() -> None:
    quiet = process(1, 0, "supervisor train", catches_sigterm=True)
    tree = [quiet, process(5, 1, "worker", ignores_sigterm=True), process(9, 5, "python train.py")]
    path = path_of(tree, killed(*tree))
    assert [hop.got for hop in path.hops] == [True, None, False]
    assert path.story == "SIGTERM reached PID 1 (supervisor train), and did not come as far as PID 9 (python train.py)."
    assert path.fix is None


def test_a_timeline_without_looks_at_processes_has_no_path() -> None:
    run = Run(interrupt="step=5", profile="sagemaker")
    with run.attempt() as attempt:
        train(attempt, 1, 6)
        attempt.trigger()
        attempt.sigterm([])
        attempt.wait(120)
        attempt.kill()
    assert signal_path(run.evidence(), 1) is None


def test_an_attempt_without_sigterm_has_no_path() -> None:
    run = Run(interrupt="step=5", profile="sudden")
    with run.attempt() as attempt:
        train(attempt, 1, 6)
        attempt.trigger()
        attempt.kill()
    assert signal_path(run.evidence(), 1) is None
