"""Makes a Python that was started as `python train.py` a zygote: it imports what the script imports, and then forks an
attempt for each request; each fork goes on to run the script as Python itself does.

Python imports this module when it is ready for the script and has not yet opened it. The zygote never leaves it. A
fork does, and from there everything is Python's own: argv, sys.path[0], __main__, tracebacks, exit codes, atexit and
threads are those of a cold start, as they are made by the same code. /proc tells `python train.py` for the same reason.

It runs alone, in any Python from 3.9 on, with nothing but the standard library. It is the first process of an instance
of its own (enter.sh in the mode `keep`): what libraries write when they are imported is lost with that. It talks with
the harness over a socket of packets, JSON each; when the harness is gone, it ends, and all its forks with it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any

VARIABLE = "SPOT_SIMULATOR_ZYGOTE"  # the socket's number; zygote.py sets it
MACHINE = "/.machine"  # where enter.sh left the machine
PACKET_BYTES = 1 << 20
IDLE_SECONDS = 5.0  # how long the threads of libraries may take to rest
# From <linux/sched.h>; part of the kernel's ABI.
NEW_PIDS = 0x20000000
NEW_NAMESPACES = 0x00020000 | 0x08000000 | 0x04000000  # mount, IPC, UTS
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Be a zygote; returns in the forks only."""
    control = socket.socket(fileno=int(os.environ.pop(VARIABLE)))
    try:
        if sys.version_info < (3, 9):  # noqa: UP036 - whichever Python the user trains with
            raise RuntimeError("its Python is older than 3.9")
        order = json.loads(control.recv(PACKET_BYTES))
        _as_if_never_here(order["python_path"])
        scripted = _imported(order["statements"])
        _check(frozenset(order["own"]))
        _settle()
    except BaseException as error:
        _flush()
        control.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        os._exit(1)
    control.send(json.dumps({"ready": True}).encode())
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        request = _serve(control)
    except BaseException:
        os._exit(1)
    if request is None:
        os._exit(0)
    control.close()
    _begin(request, scripted)


# Before the first fork.


def _as_if_never_here(python_path: str | None) -> None:
    """Leave the environment and sys.path as they would be, and let the machine's own sitecustomize run."""
    here = os.path.dirname(__file__)
    sys.path[:] = [entry for entry in sys.path if entry != here]
    if python_path is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = python_path
    this = sys.modules.pop("sitecustomize")
    try:
        importlib.import_module("sitecustomize")
    except ModuleNotFoundError:
        sys.modules["sitecustomize"] = this  # the import that is under way wants to find it


def _imported(statements: list[str]) -> dict[str, str | None]:
    """Carry out the statements. What cannot be imported is left to the script, which knows what to do without it or
    fails as it would have. Returns the variables that the script itself will set, as they were before."""
    scripted: dict[str, str | None] = {}
    names: dict[str, object] = {"os": os, "__name__": "__main__"}
    for statement in statements:
        before = dict(os.environ)
        try:
            exec(statement, names)
        except ImportError:
            continue
        if statement.startswith("os."):
            for name in before.keys() | os.environ.keys():
                if before.get(name) != os.environ.get(name):
                    scripted.setdefault(name, before.get(name))
    return scripted


def _check(own: frozenset[str]) -> None:
    """Raises RuntimeError where a fork would not be like a cold start."""
    hidden = sorted(name for name in own if name in sys.modules and name != "__main__")
    if hidden:
        raise RuntimeError(f"the source folder has a module {hidden[0]!r} of its own, and so have the libraries")
    started = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if started:
        raise RuntimeError(f"an import starts a thread ({started[0]}), and a fork would lack it")


def _settle() -> None:
    """Wait until no thread of a library (OpenBLAS and jemalloc have such, and take care of forks) holds anything."""
    deadline = time.monotonic() + IDLE_SECONDS
    while busy := [task for task in os.listdir("/proc/self/task") if int(task) != os.getpid() and _is_busy(task)]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(busy)} threads of imported libraries do not come to rest")
        time.sleep(0.01)
    _flush()
    gc.collect()
    gc.freeze()  # else the first collection of each fork would copy nearly all pages


def _is_busy(task: str) -> bool:
    try:
        with open(f"/proc/self/task/{task}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "S"
    except OSError:
        return False


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


# The zygote.


def _serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request. Returns its request in each fork, and None in the zygote when the harness is gone."""
    own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    running: dict[int, tuple[int, socket.socket]] = {}  # pidfd → pid, and whom to tell of its end
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor in running:
                poll.unregister(descriptor)
                _tell_end(descriptor, *running.pop(descriptor))
                continue
            packet, passed, _, _ = socket.recv_fds(control, PACKET_BYTES, 2)
            if not packet:
                return None
            output, status = passed[0], socket.socket(fileno=passed[1])
            try:
                pid = _fork_into_new_pids(own_pids)
            except OSError as error:
                _tell(status, {"error": str(error)})
            else:
                if pid == 0:
                    for other, (_, whom) in running.items():
                        os.close(other)
                        whom.close()
                    os.close(own_pids)
                    return {**json.loads(packet), "output": output, "status": status}
                pidfd = os.pidfd_open(pid)
                socket.send_fds(status, [b'{"forked": true}'], [pidfd])
                running[pidfd] = pid, status
                poll.register(pidfd, select.POLLIN)
            os.close(output)


def _fork_into_new_pids(own_pids: int) -> int:
    """As os.fork(); the child is PID 1 of a namespace of its own."""
    _call("unshare", NEW_PIDS)
    try:
        pid = os.fork()
    except OSError:
        _call("setns", own_pids, NEW_PIDS)
        raise
    if pid:
        _call("setns", own_pids, NEW_PIDS)
    return pid


def _tell_end(pidfd: int, pid: int, status: socket.socket) -> None:
    os.close(pidfd)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    _tell(status, {"exit": code if code >= 0 else 128 - code})
    status.close()


def _tell(status: socket.socket, message: dict[str, Any]) -> None:
    with suppress(OSError):  # the harness wants to know no more
        status.send(json.dumps(message).encode())


# A fork.


def _begin(request: dict[str, Any], scripted: dict[str, str | None]) -> None:
    """Enter the instance and be as Python is before it opens the script. `request`: `enter`, the command that builds
    the instance's view; `root` and `workdir`; and the descriptors `output` and `status`."""
    status = request["status"]
    try:
        os.setsid()  # a session of its own, as PID 1 of a container has; and no signal to a group reaches another
        os.dup2(request["output"], 1)
        os.dup2(request["output"], 2)
        os.close(request["output"])
        _call("unshare", NEW_NAMESPACES)
        os.chroot(MACHINE)
        os.chdir("/")
        nothing = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0)]
        entering = os.posix_spawn(request["enter"][0], request["enter"], os.environ, file_actions=nothing)
        if os.waitpid(entering, 0)[1] != 0:
            raise OSError("the instance's view of the machine could not be built")
        os.chroot(request["root"])
        os.chdir(request["workdir"])
        stdin = os.open(os.devnull, os.O_RDONLY)
        os.dup2(stdin, 0)
        os.close(stdin)
        _afresh(scripted)
    except BaseException as error:
        _tell(status, {"error": f"{type(error).__name__}: {error}"})
        os._exit(1)
    _tell(status, {"begun": True})
    status.close()


def _afresh(scripted: dict[str, str | None]) -> None:
    """What each start of Python has for itself. `random` sees to itself at a fork."""
    for name, value in scripted.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    importlib.invalidate_caches()  # /opt/ml was empty when the zygote looked
    modules: dict[str, Any] = dict(sys.modules)
    if "numpy.random" in modules:
        modules["numpy.random"].seed()
    if "tempfile" in modules:
        modules["tempfile"]._name_sequence = None
    tensorflow = getattr(modules.get("tensorflow.python.eager.context"), "_context", None)
    if tensorflow is not None and getattr(tensorflow, "_seed", 0) is None:
        tensorflow._set_global_seed(None)


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


main()
