"""SPOT005 sigterm-swallowed and SPOT006 sigterm-ignored: who never heard, who did not listen, who need not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from simulator.checks import Severity, sigterm_ignored, sigterm_swallowed
from simulator.core.timeline import Kind
from tests.checks.build import BASH_DRIVER, NO_HANDLER, SCRIPT_AS_PID_1, Run, only, process, train

Processes = Sequence[Mapping[str, Any]]

TORCH_WORKERS = [
    process(1, 0, "bash -c train.sh"),
    process(7, 1, "python train.py"),
    process(8, 7, "python train.py", catches_sigterm=True),
    process(9, 7, "python -c from multiprocessing.spawn import spawn_main", catches_sigterm=True),
]
TINI = [
    process(1, 0, "tini -g -- python train.py", blocks_sigterm=True),
    process(7, 1, "python train.py", catches_sigterm=True),
]
TRAPPING_SHELL = [
    process(1, 0, "/bin/bash ./entry.sh", catches_sigterm=True),
    process(7, 1, "python train.py", catches_sigterm=True),
]
PYTHON_DRIVER = [
    process(1, 0, "python -m sagemaker_training.cli.train"),
    process(7, 1, "/usr/bin/python train.py", catches_sigterm=True),
]


def told(processes: Processes, save_every: int = 0, killed: bool = True, reaction: str = "", code: int = 0) -> Run:
    """Training goes on for 60 s after SIGTERM, saving every so many steps; or the process saves and leaves."""
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 58, save_every=save_every)
        first.trigger()
        first.sigterm(processes)
        if reaction:
            first.wait(1)
            first.save(reaction)
        if killed:
            train(first, 58, 118, save_every=0 if reaction else save_every)
            first.kill()
        else:
            first.exit_after_sigterm(code, flush=2)
    with run.attempt() as second:
        train(second, 111 if save_every else 1, 200, save_every=save_every)
        second.exit()
    return run


@pytest.mark.parametrize("processes", [BASH_DRIVER, TRAPPING_SHELL, PYTHON_DRIVER], ids=["bash", "trap", "driver"])
def test_a_handler_behind_another_pid_1_never_ran(processes: Processes) -> None:
    evidence = told(processes).evidence()
    finding = only(sigterm_swallowed.check(evidence))
    assert finding.severity is Severity.ERROR
    assert finding.evidence["handlers_never_reached"][0]["command"].endswith("python train.py")
    assert sigterm_ignored.check(evidence) == []


def test_a_swallowed_sigterm_with_current_checkpoints_is_a_warning() -> None:
    assert only(sigterm_swallowed.check(told(BASH_DRIVER, save_every=10).evidence())).severity is Severity.WARNING


@pytest.mark.parametrize("processes", [NO_HANDLER, TORCH_WORKERS, TINI, SCRIPT_AS_PID_1, []])
def test_nothing_was_swallowed_where_no_handler_waited_behind_pid_1(processes: Processes) -> None:
    assert sigterm_swallowed.check(told(processes).evidence()) == []


def test_a_handler_that_ran_was_not_swallowed() -> None:
    assert sigterm_swallowed.check(told(TINI, killed=False, reaction="ckpt.npz").evidence()) == []


def test_pid_1_that_died_of_sigterm_took_its_child_along() -> None:
    evidence = told(PYTHON_DRIVER, killed=False, code=143).evidence()
    assert len(sigterm_swallowed.check(evidence)) == 1


@pytest.mark.parametrize("processes", [NO_HANDLER, SCRIPT_AS_PID_1, TINI, []])
def test_training_on_until_the_kill_ignores_sigterm(processes: Processes) -> None:
    finding = only(sigterm_ignored.check(told(processes).evidence()))
    assert finding.severity is Severity.ERROR
    assert finding.evidence["grace_seconds"] >= 60


@pytest.mark.parametrize("interval", [1, 5, 10, 30])
def test_a_script_that_only_saves_regularly_is_warned(interval: int) -> None:
    assert only(sigterm_ignored.check(told(NO_HANDLER, interval).evidence())).severity is Severity.WARNING


def test_a_file_that_never_settles_but_goes_up_now_and_then_is_current() -> None:
    run = Run(interrupt="step=20", profile="sagemaker")
    with run.attempt() as first:
        first.wait(1)
        first.save("state.bin", write=0, upload=0.1, settles=False)
        for step in range(1, 40):
            first.wait(1)
            first.log(f"step={step}")
            if step % 5 == 0:
                first._uploads.append((run.now, run.now + 0.1, "state.bin", 1000, f"v{step}"))
            if step == 20:
                first.trigger()
                first.sigterm(NO_HANDLER)
        first.kill()
    with run.attempt() as second:
        train(second, 36, 101)
        second.exit()
    assert only(sigterm_ignored.check(run.evidence())).severity is Severity.WARNING


def test_saving_in_reaction_and_waiting_for_the_end_is_no_ignoring() -> None:
    assert sigterm_ignored.check(told(SCRIPT_AS_PID_1, reaction="ckpt.npz").evidence()) == []


def test_leaving_in_the_grace_is_no_ignoring() -> None:
    assert sigterm_ignored.check(told(SCRIPT_AS_PID_1, killed=False, reaction="ckpt.npz").evidence()) == []


def test_a_kill_without_sigterm_cannot_be_ignored() -> None:
    run = Run(interrupt="step=57", profile="sudden")
    with run.attempt() as first:
        train(first, 1, 58)
        first.trigger()
        first.kill()
    assert sigterm_ignored.check(run.evidence()) == []


def test_a_save_longer_than_the_grace_is_named() -> None:
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 58)
        first.trigger()
        first.sigterm(SCRIPT_AS_PID_1)
        first.save("huge.pt", write=120, settles=False)
        first.kill()
    finding = only(sigterm_ignored.check(run.evidence()))
    assert "huge.pt" in finding.message and finding.evidence["writes_cut"] == ["huge.pt"]


def test_a_swallowed_sigterm_is_told_as_a_path_with_the_line_that_mends_it() -> None:
    finding = only(sigterm_swallowed.check(told(TRAPPING_SHELL).evidence()))
    assert [hop["swallowed"] for hop in finding.evidence["signal_path"]["hops"]] == [True, False]
    assert finding.fix.startswith("exec python train.py")
    assert "not seen to pass it on" in finding.message


def busy(tail: Sequence[str], save_every: int = 0, processes: Processes = SCRIPT_AS_PID_1, **last_look: bool) -> Run:
    """The script logs nothing for the 120 s after SIGTERM; `tail` are its last lines before."""
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 58, save_every=save_every)
        first.trigger()
        first.sigterm(processes, tail)
        first.wait(60)
        first.look(*({**one, **last_look} for one in processes))
        first.wait(60)
        first.kill()
    with run.attempt() as second:
        train(second, 1, 200, save_every=save_every)
        second.exit()
    return run


@pytest.mark.parametrize(
    ("tail", "doing"),
    [
        (["step=57 loss=0.1", "validating: batch 12/500"], "evaluation"),
        (["step=57 loss=0.1", "Compiling the model with inductor"], "compilation"),
        (["warmup 3/10"], "warm-up"),
        (["Downloading shard 3 of the data"], "loading of data"),
    ],
)
def test_a_flag_that_nobody_looked_at_is_told_with_what_the_script_was_doing(
    tail: list[str], doing: str | None
) -> None:
    finding = only(sigterm_ignored.check(busy(tail).evidence()))
    assert finding.severity is Severity.ERROR
    assert finding.evidence["handler_not_polled"] is True
    assert (finding.evidence["doing"], finding.evidence["last_lines"]) == (doing, tail)
    assert "its flag was not looked at" in finding.message
    if doing is not None:
        assert f"during its {doing}" in finding.message and tail[-1] in finding.message


def test_a_handler_that_spoke_is_not_called_silent() -> None:
    run = busy(["validating"])
    run.add(Kind.LOG_LINE, 1, at=60.0, line="SIGTERM received")
    finding = only(sigterm_ignored.check(run.evidence()))
    assert finding.evidence["handler_not_polled"] is True
    assert "said that it heard" in finding.message and "nothing came of it" not in finding.message


def test_a_driver_with_a_handler_is_not_taken_for_the_training() -> None:
    driver = process(1, 0, "python launch.py", catches_sigterm=True)
    finding = only(sigterm_ignored.check(told([driver, process(7, 1, "python train.py")]).evidence()))
    assert "handler_not_polled" not in finding.evidence


@pytest.mark.parametrize("tail", [["step=57 loss=0.1"], ["hello"], []])
def test_training_that_ends_with_sigterm_and_saves_nothing_hangs_or_takes_too_long(tail: list[str]) -> None:
    finding = only(sigterm_ignored.check(busy(tail).evidence()))
    assert finding.evidence["stopped_training"] is True and "handler_not_polled" not in finding.evidence
    assert "it hangs, or takes too long" in finding.message
    assert finding.fix.startswith("Do not save inside the handler")


def test_an_evaluation_that_begins_after_sigterm_is_told_too() -> None:
    run = busy(["step=57 loss=0.1"])
    run.add(Kind.LOG_LINE, 1, at=60.0, line="validating 1/500")
    finding = only(sigterm_ignored.check(run.evidence()))
    assert (finding.evidence["handler_not_polled"], finding.evidence["doing"]) == (True, "evaluation")


def test_a_temporary_file_that_was_still_growing_is_the_save_that_took_too_long() -> None:
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 58)
        first.trigger()
        first.sigterm(SCRIPT_AS_PID_1)
        first.wait(0.2)
        first.add(Kind.FILE_CHANGED, path="state.tmp", bytes=10)
        first.wait(119)
        first.kill()
        first.add(Kind.FILE_SETTLED, path="state.tmp", bytes=500)
    finding = only(sigterm_ignored.check(run.evidence()))
    assert "in the middle of writing state.tmp" in finding.message
    assert finding.fix.startswith("The save takes longer than the grace")


def test_a_save_that_only_sigkill_closed_is_no_answer() -> None:
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 58)
        first.trigger()
        first.sigterm(SCRIPT_AS_PID_1)
        first.wait(0.2)
        first.add(Kind.FILE_CHANGED, path="state.pt", bytes=10)
        first.wait(119)
        first.kill()
        first.add(Kind.FILE_SETTLED, at=run.now + 0.1, path="state.pt", bytes=500)
    assert "in the middle of writing state.pt" in only(sigterm_ignored.check(run.evidence())).message


def test_each_activity_has_a_fix_of_its_own() -> None:
    tails = (["validating"], ["compiling"], ["warmup"], ["downloading"], ["hello"])
    assert len({only(sigterm_ignored.check(busy(tail).evidence())).fix for tail in tails}) == len(tails)


def test_a_training_loop_that_goes_on_past_its_flag_is_told_so() -> None:
    finding = only(sigterm_ignored.check(told(SCRIPT_AS_PID_1).evidence()))
    assert (finding.evidence["handler_not_polled"], finding.evidence["doing"]) == (True, "training")
    assert "while its training went on" in finding.message


def test_a_flag_that_nobody_looked_at_is_a_warning_where_the_checkpoints_were_current() -> None:
    finding = only(sigterm_ignored.check(told(SCRIPT_AS_PID_1, save_every=10).evidence()))
    assert (finding.severity, finding.evidence["handler_not_polled"]) == (Severity.WARNING, True)


@pytest.mark.parametrize("processes", [NO_HANDLER, TORCH_WORKERS, []])
def test_without_a_handler_of_the_scripts_own_there_is_no_flag(processes: Processes) -> None:
    assert "handler_not_polled" not in only(sigterm_ignored.check(told(processes).evidence())).evidence


def test_steps_that_take_longer_than_most_are_no_ignoring_when_the_script_leaves_in_time() -> None:
    run = Run(interrupt="step=3", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 4, seconds=110)
        first.trigger()
        first.sigterm(SCRIPT_AS_PID_1, ["evaluating"])
        first.wait(110)
        first.save("ckpt.npz")
        first.exit_after_sigterm(0, flush=2)
    with run.attempt() as second:
        train(second, 4, 9, seconds=110)
        second.exit()
    evidence = run.evidence()
    assert (sigterm_ignored.check(evidence), sigterm_swallowed.check(evidence)) == ([], [])


def test_a_shell_before_a_script_without_a_handler_needs_both_mended() -> None:
    shell, script = process(1, 0, "bash run.sh"), process(7, 1, "python train.py")
    finding = only(sigterm_ignored.check(busy([], processes=[shell, script]).evidence()))
    assert finding.fix.startswith("exec python train.py") and "signal.signal(signal.SIGTERM" in finding.fix
    assert "no process that trains has a handler" in finding.message


def test_a_mask_that_holds_sigterm_back_is_named() -> None:
    masked = [process(1, 0, "python train.py", catches_sigterm=True, blocks_sigterm=True, pends_sigterm=False)]
    finding = only(sigterm_ignored.check(busy(["step=57"], processes=masked, pends_sigterm=True).evidence()))
    assert finding.evidence["blocked"] is True
    assert "blocks SIGTERM" in finding.message and "SIG_UNBLOCK" in finding.fix


def launched(current: bool, line: str) -> Run:
    """torchrun passes SIGTERM on and takes its worker away after 30 s."""
    torchrun = process(1, 0, "python /usr/local/bin/torchrun train.py", catches_sigterm=True)
    worker = process(7, 1, "python train.py", catches_sigterm=True)
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10 if current else 0)
        first.trigger()
        first.sigterm([torchrun, worker])
        if current:
            train(first, 58, 88, save_every=10)
        else:
            first.wait(30)
        first.add(Kind.LOG_LINE, line=line)
        first.look(torchrun)
        first.exit_after_sigterm(1)
    with run.attempt() as second:
        train(second, 81 if current else 1, 200)
        second.exit()
    return run


FORCED = "Unable to shutdown process 7 via Signals.SIGTERM, forcefully exiting via Signals.SIGKILL"


@pytest.mark.parametrize(("current", "severity"), [(False, Severity.ERROR), (True, Severity.WARNING)])
def test_a_launcher_that_ends_the_script_before_the_grace_does_is_named(current: bool, severity: Severity) -> None:
    finding = only(sigterm_ignored.check(launched(current, FORCED).evidence()))
    assert (finding.severity, finding.evidence["cut_by_launcher"]) == (severity, True)
    assert "--shutdown-timeout" in finding.fix


def test_a_worker_that_leaves_by_itself_was_not_ended_by_its_launcher() -> None:
    assert sigterm_ignored.check(launched(True, "worker 0 done").evidence()) == []


def test_a_launcher_that_passes_signals_on_has_swallowed_none() -> None:
    torchrun = process(1, 0, "python /usr/local/bin/torchrun train.py", catches_sigterm=True)
    evidence = told([torchrun, process(7, 1, "python train.py", catches_sigterm=True)]).evidence()
    assert sigterm_swallowed.check(evidence) == []
    assert only(sigterm_ignored.check(evidence)).evidence["handler_not_polled"] is True


def saves_after_sigterm(quiet_seconds: float, goes_on: bool) -> Run:
    """A save in SIGTERM's wake, at its usual time, so that only what follows tells whether it was an answer."""
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 60, save_every=20)
        first.trigger()
        first.sigterm(SCRIPT_AS_PID_1)
        train(first, 60, 61, save_every=20)
        if goes_on:
            train(first, 61, 66)
        first.wait(quiet_seconds)
        first.kill()
    with run.attempt() as second:
        train(second, 61, 200, save_every=20)
        second.exit()
    return run


def test_a_save_after_which_nothing_more_was_trained_is_an_answer_although_it_came_at_its_usual_time() -> None:
    assert sigterm_ignored.check(saves_after_sigterm(quiet_seconds=10, goes_on=False).evidence()) == []


@pytest.mark.parametrize(("quiet_seconds", "goes_on"), [(10, True), (1.5, False)], ids=["goes on", "no time to tell"])
def test_a_save_at_its_usual_time_is_no_answer_where_training_went_on_or_may_have(
    quiet_seconds: float, goes_on: bool
) -> None:
    finding = only(sigterm_ignored.check(saves_after_sigterm(quiet_seconds, goes_on).evidence()))
    assert finding.severity is Severity.WARNING
