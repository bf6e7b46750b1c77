"""Runs a command as PID 1 of fresh namespaces and ends with its exit code, 128+N for a signal. Started by itself:

    python -I -S unshare.py [--user] COMMAND…

util-linux' unshare cannot be used: 2.38 answers 1, and a message in the log, when PID 1 was killed (measured). Standard
input is left to the command alone, so that its end can be seen. When the thread that started this dies, the kernel
kills this and PID 1, and with it all of the namespace.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

# From <linux/sched.h>, <sys/mount.h> and <sys/prctl.h>; part of the kernel's ABI.
NEW_NAMESPACES = 0x00020000 | 0x20000000 | 0x08000000 | 0x04000000  # mount, PID, IPC, UTS
NEW_USER = 0x10000000
RECURSIVELY_PRIVATE = 0x4000 | 0x40000
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Make the namespaces, start the command in them, wait for its end."""
    as_user = arguments[0] == "--user"
    command = arguments[1:] if as_user else arguments
    libc = ctypes.CDLL(None, use_errno=True)
    _call(libc, "prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    user, group = os.getuid(), os.getgid()
    _call(libc, "unshare", NEW_NAMESPACES | (NEW_USER if as_user else 0))
    if as_user:
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _call(libc, "mount", b"none", b"/", None, RECURSIVELY_PRIVATE, None)
    child = os.fork()
    if child == 0:
        _call(libc, "prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.execvp(command[0], command)
    os.close(0)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # those are for PID 1, from the harness
    status = os.waitpid(child, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _call(libc: ctypes.CDLL, name: str, *arguments: object) -> None:
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
