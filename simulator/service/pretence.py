"""What moto answers as if it had been done: said whenever a client asks for it, and once more at the end of `exec`."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable

from simulator.service.api import TARGET, Answer

_COMPUTES = re.compile(r"Create\w+Job(V\d)?|StartPipelineExecution|CreateEndpoint")
"""Operations of SageMaker that have AWS compute something; moto answers, and calls most of it Completed at once."""


class Pretence:
    """An interceptor that answers nothing; it stands behind the server's own operations. Any thread may call it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, object]) -> Answer | None:
        """Note the request, if it is one of those."""
        target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
        name = target.removeprefix(TARGET)
        if target.startswith(TARGET) and _COMPUTES.fullmatch(name):
            with self._lock:
                self._counts[name] += 1
            self._say(f"{name} is answered by moto, which runs nothing: what it tells of an outcome is made up")
        return None

    def lines(self) -> list[str]:
        """What a person reads after a command."""
        with self._lock:
            counts = sorted(self._counts.items())
        return [
            f"{name} ({'once' if times == 1 else f'{times} times'}) was answered by moto, and nothing was run for it"
            for name, times in counts
        ]
