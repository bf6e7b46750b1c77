"""SIGTERM followed from PID 1 to the training process: who had a handler, who got it, who swallowed it, who acted when.

Promise: `got` and `swallowed` are told only where the masks, the kernel's rules for PID 1, a pending signal, a process
that outlived it, or a reaction show them; else `got` is None. Limit: a look shows who was there at that instant, so the
instants of other processes than PID 1 are no finer than the looks, and an exit between two looks is dated at the later.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from simulator.checks.durability import Version
from simulator.checks.evidence import Evidence, Look, Process
from simulator.checks.file_names import is_temporary
from simulator.checks.process_kinds import (
    ProcessKind,
    brief,
    is_sdk_driver,
    is_shell,
    is_torchrun,
    kind_of,
    passes_signals_on,
    program_of,
)
from simulator.core.reaction import speaks_of_the_end
from simulator.core.timeline import Event, Kind

_KILLED_BY_SIGTERM = 143
_KILLED_BY_SIGKILL = frozenset({137, 247})  # 128 + 9, and the −9 of subprocess handed to sys.exit
_FORCED = "forcefully"  # torchrun's word for the SIGKILL that it sends
_DELIVERED_AFTER_SECONDS = 0.2  # a signal that a process did not block has reached it by then
_AT_ONCE_SECONDS = 0.005
_FIX_WORDS = 8


class Disposition(StrEnum):
    """What a process had in store for SIGTERM when it was sent."""

    CAUGHT = "caught"
    IGNORED = "ignored"
    DEFAULT = "default"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Hop:
    """One process on the way. `got`: it was delivered there, None where nothing tells. `swallowed`: it came this far,
    and not to the next. `pending`: it was sent there and never taken. Seconds count from SIGTERM."""

    pid: int
    ppid: int
    command: str
    kind: ProcessKind
    disposition: Disposition
    got: bool | None
    swallowed: bool
    pending: bool | None
    acted_after_seconds: float | None
    ended_after_seconds: float | None

    @property
    def name(self) -> str:
        """How sentences call it."""
        return f"PID {self.pid} ({brief(self.command)})"


@dataclass(frozen=True)
class SignalPath:
    """The way from PID 1 to the training process, told in a sentence, and the line that mends it where one does."""

    hops: Sequence[Hop]
    story: str
    fix: str | None
    cut_by_launcher: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As report.json and findings hold it."""
        return {
            "hops": [asdict(hop) for hop in self.hops],
            "story": self.story,
            "fix": self.fix,
            "cut_by_launcher": self.cut_by_launcher,
        }


def signal_path(evidence: Evidence, attempt: int) -> SignalPath | None:
    """The way of an attempt's SIGTERM; None where none was sent or nobody could look at the processes."""
    processes = evidence.processes_at_sigterm(attempt)
    if attempt not in evidence.reclaimed or not processes:
        return None
    trace = _Trace(evidence, attempt, processes)
    hops = trace.hops()
    cut = trace.was_cut(hops)
    return SignalPath(hops, _story(hops, trace, cut), _fix(hops, cut), cut)


def sent_at(evidence: Evidence, attempt: int) -> float | None:
    """The instant from which on a reaction to SIGTERM is possible."""
    signal = evidence.sigterm(attempt)
    return None if signal is None else min(signal.at, float(signal.data.get("sending_at", signal.at)))


def unreached_owners(evidence: Evidence, attempt: int) -> list[Process]:
    """The processes whose handler for SIGTERM never ran; empty when that is not what happened."""
    signal = evidence.sigterm(attempt)
    processes = evidence.processes_at_sigterm(attempt)
    if signal is None or not processes:
        return []
    root = root_of(processes)
    owners = [process for process in handler_owners(processes) if process.pid != root.pid]
    if not owners:
        return []
    killed, exited = evidence.killed(attempt), evidence.exited(attempt)
    if killed is None:
        died_of_it = exited is not None and exited.data.get("exit_code") == _KILLED_BY_SIGTERM
        unhandled = not (root.catches_sigterm or root.blocks_sigterm or root.ignores_sigterm)
        return owners if died_of_it and unhandled else []
    if any(_is_pending(owner, evidence.looks_after_sigterm(attempt)) for owner in owners):
        return []  # it was sent to them: they block it
    if root.blocks_sigterm and not is_shell(root.command):
        return []  # an init such as tini waits for blocked signals and passes them on: SPOT006 asks on
    if root.catches_sigterm:
        told_at = evidence.warned_at(attempt)
        if passes_signals_on(root.command) or answers(evidence, attempt, signal.at if told_at is None else told_at):
            return []
        if not _only_drives(root, owners):
            return []
    return owners


def answers(evidence: Evidence, attempt: int, since: float) -> list[Version]:
    """The saves that answer what the script was told at `since`: those in reaction, or else the last whole one, when
    nothing was trained after it until the kill, for far longer than training is ever silent: it saved and waited."""
    reactions = [save for save in evidence.saves_in_reaction(attempt) if save.started_at >= since]
    walk = evidence.walk(attempt)
    if reactions or evidence.killed(attempt) is None or walk is None:
        return reactions
    last = max(evidence.saves(attempt), key=lambda save: save.started_at, default=None)
    if last is None or last.started_at < since or last.durable_at is None:
        return []
    silences = [after.at - before.at for before, after in pairwise(walk.readings)]
    waited = evidence.gone_at(attempt) - last.done_at
    trained_on = walk.last.at > last.done_at + evidence.options.detection_seconds
    return [last] if silences and not trained_on and waited > 3 * max(silences) else []


def is_over(version: Version, killed: Event | None) -> bool:
    """Whether a write was seen to end, and by something else than SIGKILL."""
    return version.settled_at is not None and (killed is None or version.settled_at < killed.at)


def cut_writes(evidence: Evidence, attempt: int) -> list[Version]:
    """Saves begun after SIGTERM that did not come to their end: still growing when the process was gone, or left under
    their temporary name. SIGKILL closes a file too, and then it seems settled."""
    since, killed = sent_at(evidence, attempt), evidence.killed(attempt)
    return [
        version
        for version in evidence.files.left_behind.get(attempt, {}).values()
        if since is not None
        and version.started_at >= since
        and (not is_over(version, killed) or is_temporary(version.path))
    ]


def handler_owners(processes: Sequence[Process]) -> list[Process]:
    """The processes with a handler of their own: no shell's, and no worker's that its library or parent gave it."""
    return [process for process in processes if _owns_a_handler(process, processes)]


def root_of(processes: Sequence[Process]) -> Process:
    """PID 1, or the process whose parent is not among them where there is no namespace."""
    pids = {process.pid for process in processes}
    by_rank = sorted(processes, key=lambda process: (process.pid != 1, process.ppid in pids, process.pid))
    return by_rank[0]


class _Trace:
    """What the timeline tells of one attempt's processes after SIGTERM."""

    def __init__(self, evidence: Evidence, attempt: int, processes: Sequence[Process]) -> None:
        self.evidence, self.attempt, self.processes = evidence, attempt, processes
        self.looks = evidence.looks_after_sigterm(attempt)
        self.root = root_of(processes)
        self.unreached = unreached_owners(evidence, attempt)
        self.sent_at = sent_at(evidence, attempt) or 0.0
        self.killed, self.exited = evidence.killed(attempt), evidence.exited(attempt)
        self.reactions = answers(evidence, attempt, self.sent_at)
        self.spoken = [
            (event.at, str(event.data.get("line", "")))
            for event in evidence.of(Kind.LOG_LINE, attempt)
            if event.at >= self.sent_at and speaks_of_the_end(str(event.data.get("line", "")))
        ]

    @property
    def grace_seconds(self) -> float:
        """From SIGTERM to the end that came."""
        return self.evidence.gone_at(self.attempt) - self.sent_at

    def hops(self) -> list[Hop]:
        """The processes from PID 1 to the one that trains."""
        chain = self._chain(self._target())
        pending = [_is_pending(process, self.looks) for process in chain]
        got: list[bool | None] = []
        for index, process in enumerate(chain):
            got.append(self._got(process, pending[index], got, chain))
        last_that_may = max((index for index, value in enumerate(got) if value is not False), default=-1)
        if self.reactions or cut_writes(self.evidence, self.attempt):
            # The one that saved has got it, and so has who passed it on.
            got = [True if value is None and index <= last_that_may else value for index, value in enumerate(got)]
        actor = max((index for index, value in enumerate(got) if value), default=last_that_may)
        hops = []
        for index, process in enumerate(chain):
            ended_at = self._ended_at(process)
            acted_at = self._acted_at(process, ended_at, index == actor) if got[index] is not False else None
            last = index == len(chain) - 1
            came = got[index] is True or index == 0
            stopped = came and not last and got[index + 1] is False and not pending[index + 1]
            child = any(other.ppid == process.pid for other in self.processes)
            hops.append(
                Hop(
                    process.pid,
                    process.ppid,
                    process.command,
                    kind_of(process.command, child),
                    _disposition(process),
                    got[index],
                    stopped,
                    pending[index],
                    self._since(acted_at),
                    self._since(ended_at),
                )
            )
        return hops

    def was_cut(self, hops: Sequence[Hop]) -> bool:
        """Whether what started the training process ended it before it was done, with grace left."""
        target = hops[-1]
        if self.killed is not None or len(hops) < 2 or target.got is False or target.ended_after_seconds is None:
            return False
        if any(hop.kind is ProcessKind.INIT for hop in hops[-2:-1]):
            return False  # an init waits for its child
        left = cut_writes(self.evidence, self.attempt)
        if not left and any(save.settled_at is not None for save in self.reactions):
            return False  # its save was done
        exit_code = self.exited.data.get("exit_code") if self.exited else None
        if exit_code in _KILLED_BY_SIGKILL or any(_FORCED in line.lower() for _, line in self.spoken):
            return True
        return bool(left) and not self.evidence.checkpoints_were_current(self.attempt)

    def _target(self) -> Process:
        """The process that trains: whose handler waited, or else the Python at the end of the line."""
        owners = self.unreached or [process for process in handler_owners(self.processes) if process != self.root]
        if owners:
            return owners[0]
        here = self.root
        while True:
            children = [
                process
                for process in self.processes
                if process.ppid == here.pid and process.pid != here.pid and process.command != here.command
            ]
            children = [process for process in children if "multiprocessing" not in process.command]
            ranked = sorted(children, key=lambda process: kind_of(process.command) is ProcessKind.OTHER)
            trains = kind_of(here.command, bool(ranked)) is ProcessKind.PYTHON
            if not ranked or (trains and kind_of(ranked[0].command) is not ProcessKind.PYTHON):
                return here
            here = ranked[0]

    def _chain(self, target: Process) -> list[Process]:
        by_pid = {process.pid: process for process in self.processes}
        chain = [target]
        while chain[0].pid != self.root.pid:
            parent = by_pid.get(chain[0].ppid)
            if parent is None or parent in chain:
                parent = self.root
            chain.insert(0, parent)
        return chain

    def _got(
        self, process: Process, pending: bool | None, above: Sequence[bool | None], chain: Sequence[Process]
    ) -> bool | None:
        if process in self.unreached or pending:
            return False
        if process.pid == self.root.pid:
            return self._root_got(pending)
        if above and above[-1] is False:
            return False
        disposition = _disposition(process)
        if disposition is Disposition.DEFAULT and self._outlived(process):
            return False  # it would have died of it
        if above[-1] and passes_signals_on(chain[len(above) - 1].command):
            return True
        return None

    def _root_got(self, pending: bool | None) -> bool | None:
        match _disposition(self.root):
            case Disposition.CAUGHT:
                return True
            case Disposition.IGNORED:
                return False
            case Disposition.BLOCKED:
                return None if pending is None else True  # taken by a thread that waits for it, as tini does
        return self.root.pid != 1  # the kernel discards it for a PID 1 without a handler

    def _outlived(self, process: Process) -> bool:
        """Whether it was seen when SIGTERM had long been there, and nothing ended it but the kill."""
        later = [look for look in self.looks if look.at - self.sent_at > _DELIVERED_AFTER_SECONDS]
        return self.killed is not None and bool(later) and _holds(later[-1], process)

    def _ended_at(self, process: Process) -> float | None:
        if process.pid != self.root.pid:
            alive = [index for index, look in enumerate(self.looks) if _holds(look, process)]
            missing = self.looks[(alive[-1] + 1) if alive else 0 :]
            if missing:
                return missing[0].at
        end = self.killed or self.exited
        return None if end is None else end.at

    def _acted_at(self, process: Process, ended_at: float | None, is_actor: bool) -> float | None:
        """Its first reaction: its own end where nobody else ended it, and what was logged and saved, if it did that."""
        seen = []
        if ended_at is not None and (self.killed is None or ended_at < self.killed.at):
            seen.append(ended_at)
        if is_actor:
            seen += [at for at, _ in self.spoken] + [save.started_at for save in self.reactions]
        return min(seen, default=None)

    def _since(self, at: float | None) -> float | None:
        return None if at is None else round(max(0.0, at - self.sent_at), 3)


def _is_pending(process: Process, looks: Sequence[Look]) -> bool | None:
    """Whether SIGTERM was still pending when the process was last looked at; None where no look tells."""
    seen = [other for look in looks for other in look.processes if other.is_same_as(process)]
    return seen[-1].pends_sigterm if seen else None


def _holds(look: Look, process: Process) -> bool:
    return any(other.is_same_as(process) for other in look.processes)


def _disposition(process: Process) -> Disposition:
    if process.blocks_sigterm:
        return Disposition.BLOCKED
    if process.ignores_sigterm:
        return Disposition.IGNORED
    return Disposition.CAUGHT if process.catches_sigterm else Disposition.DEFAULT


def _owns_a_handler(process: Process, processes: Sequence[Process]) -> bool:
    if not process.catches_sigterm or is_shell(process.command):
        return False
    parent = next((other for other in processes if other.pid == process.ppid), None)
    # A worker that was forked or spawned by the training process has its library's handler, or its parent's.
    return "multiprocessing" not in process.command and (parent is None or parent.command != process.command)


def _only_drives(root: Process, owners: Sequence[Process]) -> bool:
    """Whether PID 1 merely starts the training: a shell, or a driver that runs another program."""
    return is_shell(root.command) or any(owner.ppid == root.pid for owner in owners)


# The story.


def _story(hops: Sequence[Hop], trace: _Trace, cut: bool) -> str:
    target = hops[-1]
    swallower = next((hop for hop in hops if hop.swallowed), None)
    if swallower is not None:
        return _swallowed(swallower, target, hops)
    if target.pending:
        how = "blocks it, and it was still pending when the process was last looked at"
        return f"SIGTERM reached {target.name}, which {how}."
    if cut:
        after = _seconds(target.ended_after_seconds or 0.0)
        return (
            f"SIGTERM went {_way(hops)}, which was gone within {after}, before it was done: "
            f"{hops[-2].name} did not wait longer."
        )
    if target.got is False and len(hops) > 1:
        return f"SIGTERM reached {hops[0].name}, and did not come as far as {target.name}."
    if target.got is False:
        return f"SIGTERM reached {target.name}, {_discards(target)}."
    then = _what_it_did(target, trace)
    if len(hops) == 1:
        return f"SIGTERM reached {target.name}, which {then}."
    if target.got:
        return f"SIGTERM went {_way(hops)}, which {then}."
    return f"SIGTERM reached {hops[0].name}; nothing shows whether it came to {target.name}, which {then}."


def _way(hops: Sequence[Hop]) -> str:
    between = "".join(f" by way of {hop.name}" for hop in hops[1:-1])
    return f"from {hops[0].name}{between} to {hops[-1].name}"


def _what_it_did(target: Hop, trace: _Trace) -> str:
    acted, ended = target.acted_after_seconds, target.ended_after_seconds
    killed = trace.killed is not None and (ended is None or ended >= trace.grace_seconds - 0.05)
    parts = []
    if acted is not None and (killed or acted != ended):
        parts.append("reacted at once" if acted < _AT_ONCE_SECONDS else f"reacted after {_seconds(acted)}")
    elif killed and target.disposition is Disposition.CAUGHT:
        parts.append("has a handler of which nothing was seen to come")
    if killed:
        parts.append(f"was still running after {trace.grace_seconds:.1f} s, when SIGKILL came")
    elif ended is not None:
        parts.append(f"was gone after {_seconds(ended)}")
    return ", and ".join(parts) or "went on"


def _discards(hop: Hop) -> str:
    if hop.disposition is Disposition.IGNORED:
        return "which ignores it"
    return "which has no handler for SIGTERM, and the kernel discards it for a PID 1 without one"


def _swallowed(swallower: Hop, target: Hop, hops: Sequence[Hop]) -> str:
    came = "reached" if swallower is hops[0] else f"came by way of {hops[0].name} to"
    if swallower.got is False:
        how = _discards(swallower)
    elif swallower.disposition is Disposition.BLOCKED:
        how = "which blocks it and did not pass it on"
    else:
        how = "which took SIGTERM itself and was not seen to pass it on"
    after = (
        f"the handler of {target.name} never ran"
        if target.disposition is Disposition.CAUGHT
        else f"{target.name} never got it"
    )
    return f"SIGTERM {came} {swallower.name}, {how}: {after}."


# The one line.


def _fix(hops: Sequence[Hop], cut: bool) -> str | None:
    target = hops[-1]
    swallower = next((hop for hop in hops if hop.swallowed), None)
    if swallower is not None:
        return _let_it_through(swallower, target, hops)
    if target.pending:
        return "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})   # in the main thread, before training"
    if cut:
        return _wait_longer(hops[-2], target)
    if target.got is False and len(hops) == 1:
        return "signal.signal(signal.SIGTERM, lambda *_: stop.set())   # before training, in the main thread"
    return None


def _let_it_through(swallower: Hop, target: Hop, hops: Sequence[Hop]) -> str:
    words = _as_typed(target.command)
    entrypoint = f"ENTRYPOINT {json.dumps(words)}   # exec form"
    if any(is_sdk_driver(hop.command) for hop in hops):
        entrypoint = f"ENTRYPOINT {json.dumps([_in_an_image(word) for word in words])}   # exec form"
        return f"{entrypoint}, in an image of your own and without SourceCode: the SDK's scripts pass nothing on"
    if swallower.kind is ProcessKind.TOOLKIT:
        entrypoint = f"ENTRYPOINT {json.dumps([_in_an_image(word) for word in words])}   # exec form"
        return f"{entrypoint}, without the toolkit between, which passes nothing on"
    if is_shell(swallower.command):
        if " -c " in swallower.command:
            return f"{entrypoint}: no shell before it; or: {_shell_name(swallower)} -c 'exec …'"
        return f"exec {' '.join(words)}   # in place of the shell's last line"
    if swallower.kind is ProcessKind.LAUNCHER:
        return f"{entrypoint}, or torchrun before it, which passes signals on, as this launcher does not"
    if swallower.kind is ProcessKind.PYTHON:
        return f"signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))   # in {swallower.name}"
    return f"ENTRYPOINT {json.dumps(['tini', '-g', '--', *words])}   # an init that passes it on"


def _wait_longer(launcher: Hop, target: Hop) -> str:
    if is_torchrun(launcher.command):
        return "torchrun --shutdown-timeout=110 …   # torch 2.12 or later; before it, SIGKILL comes after 30 s anyway"
    if is_shell(launcher.command):
        return f"exec {' '.join(_as_typed(target.command))}   # in place of a trap: a shell that leaves takes all along"
    return f"child.wait(timeout=110)   # in {launcher.name}: its shutdown timeout, before it kills"


def _as_typed(command: str) -> list[str]:
    """A command as a person would write it: a Python by its name alone, without the toolkit's `--`, and not endless."""
    words = command.split()[:_FIX_WORDS]
    if not program_of(command).startswith("python"):
        return words
    return [program_of(command), *(words[2:] if words[1:2] == ["--"] else words[1:])]


def _in_an_image(word: str) -> str:
    """A script that was started in its working directory, where an image keeps it (SAGEMAKER_SUBMIT_DIRECTORY)."""
    return f"/opt/ml/code/{word}" if word.endswith(".py") and not word.startswith("/") else word


def _seconds(value: float) -> str:
    return f"{1000 * value:.0f} ms" if value < 0.0995 else f"{value:.1f} s"


def _shell_name(hop: Hop) -> str:
    return hop.command.split()[0]
