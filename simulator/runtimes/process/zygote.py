"""Attempts that are forked from a process which has already imported what the script imports: a zygote.

Importing TensorFlow takes seconds, a fork milliseconds. What a fork does from there on is Python's own start of the
script (see preload/sitecustomize.py), in namespaces and an instance of its own as in a cold start. Where no zygote can
be had, attempts start cold, and `fidelity_lost` says why.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.core.errors import EnvironmentFailure
from simulator.core.job import TrainingJob
from simulator.runtimes.ownership import make_scratch
from simulator.runtimes.port import AttemptSpec
from simulator.runtimes.process.entrypoints import Entrypoint, Forked, Spawned
from simulator.runtimes.process.imports import Preload, preload_of
from simulator.runtimes.process.isolation import PYTHON, Isolation, building
from simulator.runtimes.process.preload import HOOK
from simulator.runtimes.process.runtime import (
    CODE,
    ProcessRuntime,
    environment_of,
    lay_out,
    remove_instance,
    remove_view,
    spawn_zygote,
)

IMPORT_SECONDS = 180.0  # what imports may take before attempts start cold
FORK_SECONDS = 60.0
SAID_BYTES = 1 << 20  # of what imports print, kept for each attempt's log
_BESIDE = "/tmp/spot-simulator-zygote"  # where the zygote sees the hook
VARIABLE = "SPOT_SIMULATOR_ZYGOTE"


@dataclass(frozen=True)
class _Key:
    """What a zygote is for: forks must find themselves with just this interpreter, environment and these imports."""

    python: str
    environment: tuple[tuple[str, str], ...]
    preload: Preload


class ZygoteRuntime(ProcessRuntime):
    """A ProcessRuntime whose attempts need not import anew. Zygotes start at `prepare`, or when an attempt first wants
    one; `close` ends them, and the kernel does when the harness dies."""

    def __init__(self, python: str = PYTHON, isolation: Isolation | None = None) -> None:
        super().__init__(python, isolation)
        self._zygotes: dict[_Key, _Zygote] = {}
        self._lock = threading.Lock()
        self.cold_because = ""
        """Why attempts start cold; empty where they do not."""

    @property
    def fidelity_lost(self) -> Sequence[str]:
        """What differs from SageMaker here."""
        if self.cold_because:
            return (*super().fidelity_lost, f"attempts start cold, as without a zygote: {self.cold_because}")
        return (
            *super().fidelity_lost,
            "an attempt begins with its imports done: none is interrupted in the midst of them",
            "Python's hashes of strings are the same in all attempts (unless PYTHONHASHSEED says so, they are not)",
        )

    def prepare(self, job: TrainingJob) -> None:
        """Also starts the zygotes, one a host, so that what is said of this runtime is true from the start."""
        super().prepare(job)
        nowhere = Path("/nonexistent")
        for host in job.hosts:
            self._zygote_for(AttemptSpec(job, "zygote", 0, host, nowhere, nowhere))

    def close(self) -> None:
        """End the zygotes, and what is left of their attempts."""
        with self._lock:
            for zygote in self._zygotes.values():
                zygote.close()
            self._zygotes.clear()

    def _enter(self, spec: AttemptSpec) -> Entrypoint:
        zygote = self._zygote_for(spec)
        if zygote is not None:
            try:
                return zygote.fork(spec)
            except OSError as error:
                self.cold_because = f"the zygote did not fork: {error}"
                remove_view(spec.instance_dir)
        return super()._enter(spec)

    def _zygote_for(self, spec: AttemptSpec) -> _Zygote | None:
        """The zygote that fits; None where attempts start cold."""
        with self._lock:
            if self.cold_because:
                return None
            try:
                key = self._key(spec)
                if key not in self._zygotes:
                    self._zygotes[key] = _Zygote(spec, self.mode, key)
                return self._zygotes[key]
            except (OSError, SyntaxError, ValueError) as error:
                self.cold_because = str(error)
            except EnvironmentFailure as failure:
                self.cold_because = f"{failure.what}: {failure.why}"
            return None

    def _key(self, spec: AttemptSpec) -> _Key:
        job = spec.job
        if self.mode is Isolation.PLAIN:
            raise ValueError("it needs namespaces")
        if job.entrypoint or job.arguments:
            raise ValueError("the job has an entrypoint or arguments of its own")
        if job.entry_script is None or job.source_dir is None or job.entry_script.endswith(".sh"):
            raise ValueError("a shell script imports nothing")
        preload = preload_of(job.source_dir, job.entry_script)
        return _Key(self._python, tuple(sorted(environment_of(spec, None).items())), preload)


class _Zygote:
    """One zygote. Raises EnvironmentFailure and OSError where it does not come to be."""

    def __init__(self, spec: AttemptSpec, mode: Isolation, key: _Key) -> None:
        self._scratch = make_scratch("zygote")
        self._process: Spawned | None = None
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.said = b""
        try:
            with theirs:
                self._process = self._start(spec, mode, key, theirs)
            self._until_ready(key)
        except BaseException:
            self.close()
            raise

    def _start(self, spec: AttemptSpec, mode: Isolation, key: _Key, theirs: socket.socket) -> Spawned:
        instance = self._scratch / "instance"
        own = AttemptSpec(spec.job, "zygote", 0, spec.host, instance, instance / "checkpoints")
        lay_out(own, channels=False)  # a script reads its data when it runs, and they may be large
        hook = instance / "tmp" / Path(_BESIDE).name
        hook.mkdir()
        shutil.copy(HOOK, hook)
        path = dict(key.environment).get("PYTHONPATH")
        environment = {VARIABLE: str(theirs.fileno()), "PYTHONPATH": f"{_BESIDE}:{path}" if path else _BESIDE}
        return spawn_zygote(own, mode, key.python, environment, theirs.fileno())

    def _until_ready(self, key: _Key) -> None:
        order = {
            "python_path": dict(key.environment).get("PYTHONPATH"),
            "statements": key.preload.statements,
            "own": sorted(key.preload.own),
        }
        self._control.send(json.dumps(order).encode())
        answer = self._answer()
        if "ready" not in answer:
            said = self.said.decode("utf-8", "replace").strip().splitlines()
            raise OSError(answer.get("error") or (said[-1] if said else "its Python ended"))

    def _answer(self) -> dict[str, Any]:
        """What the zygote answers, its output being read meanwhile and to the end of what was printed by then."""
        assert self._process is not None
        deadline = time.monotonic() + IMPORT_SECONDS
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._process.output, select.POLLIN)
        answer: dict[str, Any] | None = None
        while time.monotonic() < deadline:
            ready = {descriptor for descriptor, _ in poll.poll(100 if answer is None else 0)}
            if self._process.output in ready:
                chunk = os.read(self._process.output, 1 << 16)
                self.said = (self.said + chunk)[:SAID_BYTES]
                if chunk:
                    continue
                poll.unregister(self._process.output)
            if answer is not None:
                return answer
            if self._control.fileno() in ready:
                packet = self._control.recv(1 << 16)
                answer = json.loads(packet) if packet else {}
        raise OSError(f"the imports took more than {IMPORT_SECONDS:g} s")

    def fork(self, spec: AttemptSpec) -> Forked:
        """Start an attempt. Raises OSError."""
        instance, local_path = spec.instance_dir, spec.job.CheckpointConfig.LocalPath
        request = {
            "enter": building(instance, local_path, CODE, spec.host),
            "root": str(instance / "root"),
            "workdir": CODE,
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output, their_output = os.pipe()
        try:
            with theirs:
                socket.send_fds(self._control, [json.dumps(request).encode()], [their_output, theirs.fileno()])
        except OSError:
            os.close(output)
            raise
        finally:
            os.close(their_output)
        return Forked(ours, output, self.said, FORK_SECONDS)

    def close(self) -> None:
        """End it, and with it all its forks: it is PID 1 of a namespace that theirs are in."""
        self._control.close()
        if self._process is not None:
            self._process.end()
        remove_instance(self._scratch / "instance")
        shutil.rmtree(self._scratch, ignore_errors=True)
