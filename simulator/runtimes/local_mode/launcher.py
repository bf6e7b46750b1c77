"""The child process that SageMaker's SDK lives in: orders come on stdin, a line each, and so do the answers on stdout.

In a process of its own the SDK is imported once, while the harness does other things; it has an environment without
the user's AWS configuration; and what it prints does not mix with anything. It ends when its stdin does, so also when
the harness was killed. Nothing in it may connect anywhere: it is the only process of ours that knows AWS's endpoints.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import IO

from simulator.runtimes.local_mode.order import LaunchOrder

REFUSED = "spot-simulator: refused to connect to"


def main() -> None:
    """Say whether the SDK is as we know it, then carry out orders until there are no more."""
    orders, answers = _take_pipes()
    os.environ.pop("PYTHONPATH", None)  # Compose 1 is a Python program too, with a docker module of its own
    sys.addaudithook(_refuse_connections)
    try:
        from simulator.runtimes.local_mode import sdk_seam

        problems = sdk_seam.check_seam()
        session = None if problems else sdk_seam.prepare_session()
    except Exception:  # noqa: BLE001 - whatever the SDK fails with on import is the harness's to tell
        traceback.print_exc()
        _answer(answers, ready=False, problems=[_last_error()])
        return
    _answer(answers, ready=not problems, problems=problems)
    for line in orders:
        try:
            sdk_seam.launch(LaunchOrder.from_json(line), session)
        except Exception:  # noqa: BLE001 - as above
            traceback.print_exc()
            _answer(answers, started=False, error=_last_error())
        else:
            _answer(answers, started=True)


def _take_pipes() -> tuple[IO[str], IO[str]]:
    """Move the two pipes out of the way of the SDK and of Compose, which print, and inherit what is at 0, 1 and 2."""
    orders, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return os.fdopen(orders, "r", encoding="utf-8"), os.fdopen(answers, "w", encoding="utf-8")


def _answer(answers: IO[str], **said: object) -> None:
    sys.stdout.flush()
    answers.write(json.dumps(said) + "\n")
    answers.flush()


def _last_error() -> str:
    kind, error, _ = sys.exc_info()
    return f"{kind.__name__ if kind else 'error'}: {error}"


def _refuse_connections(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook: looking a name up, or connecting, is an error here whoever asks for it."""
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"):
        target = arguments[1] if event == "socket.connect" else arguments[0]
        os.write(2, f"{REFUSED} {target}\n".encode())  # also where the caller swallows the error
        raise PermissionError(f"{REFUSED} {target}")


if __name__ == "__main__":
    main()
