"""The process that embedded moto is: serves S3 on loopback until its standard input ends, as when its maker dies.

Run as a script, apart from the harness, so that the two share neither an interpreter lock nor memory. Says
`ready PORT` or `error TEXT` on standard output, once.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading

LOOPBACK = "127.0.0.1"


def main() -> int:
    """Serve on the port given as the argument (0: a free one)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the harness's to answer; it ends this process then
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, int(sys.argv[1])))
    except OSError as error:
        _say(f"error {error.strerror}")
        return 1
    listener.listen(128)
    _serve(listener)
    return 0


def _serve(listener: socket.socket) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):  # type: ignore[misc]  # moto gives no types
        def log(self, *_: object) -> None:
            """Log nothing: the timeline tells of every transfer."""

    server = make_server(
        LOOPBACK,
        listener.getsockname()[1],
        DomainDispatcherApplication(create_backend_app),
        threaded=True,
        request_handler=Quiet,
        fd=listener.fileno(),
    )
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    _say(f"ready {listener.getsockname()[1]}")
    server.serve_forever()


def _end_with_standard_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
