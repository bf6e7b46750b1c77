"""What SageMaker tells other services of a job: its log lines to CloudWatch Logs, its states to EventBridge; moto's."""

from __future__ import annotations

import json
import queue
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from moto.backends import get_backend
from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException

from simulator.core.job import ACCOUNT_ID
from simulator.service.describe import describe
from simulator.service.jobs import JobEntry
from simulator.service.shapes import answer_of, sagemaker_model

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
DETAIL_TYPE = "SageMaker Training Job State Change"

REFUSALS = (HTTPException, ServiceException, KeyError)  # moto's, of old style and new, and of what goes meanwhile

_making = threading.Lock()


class LogStream:
    """One stream; its lines are there as soon as they were printed. A host of a job has one for all attempts: what AWS
    does then is not documented (docs/assumptions.md)."""

    def __init__(self, region: str, name: str) -> None:
        self.name = name
        self._logs: Any = get_backend("logs")[ACCOUNT_ID][region]
        self._make()

    def write(self, line: bytes) -> None:
        """One line. A stream that a client deleted is made anew."""
        now = int(datetime.now(UTC).timestamp() * 1000)
        event = {"timestamp": now, "message": line.decode("utf-8", "replace")}
        try:
            self._logs.put_log_events(LOG_GROUP, self.name, [event])
        except REFUSALS:
            self._make()
            with suppress(*REFUSALS):
                self._logs.put_log_events(LOG_GROUP, self.name, [event])

    def _make(self) -> None:
        with _making:
            with suppress(*REFUSALS):
                self._logs.create_log_group(LOG_GROUP, {})
            with suppress(*REFUSALS):
                self._logs.create_log_stream(LOG_GROUP, self.name)


class StateChanges:
    """Puts an event on the default bus for every state; in a thread of its own, as a bus may have slow targets."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[str, dict[str, Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._deliver, name="state-changes", daemon=True)
        self._thread.start()

    def tell(self, entry: JobEntry) -> None:
        """The job's state as it is now."""
        self._queue.put((entry.region, _event(entry)))

    def close(self) -> None:
        """Deliver what waits, and end."""
        self._queue.put(None)
        self._thread.join(5)

    def _deliver(self) -> None:
        while (waiting := self._queue.get()) is not None:
            region, event = waiting
            with suppress(Exception):  # a target's failure is its own; the job goes on
                get_backend("events")[ACCOUNT_ID][region].put_events([event])


def _event(entry: JobEntry) -> dict[str, Any]:
    """Source: "SageMaker training job state change" of the EventBridge guide; instants are epoch milliseconds there."""
    shape = sagemaker_model().operation_model("DescribeTrainingJob").output_shape
    detail = answer_of(shape, describe(entry), seconds_are=1000) | {"Tags": entry.tags}
    return {
        "Source": "aws.sagemaker",
        "DetailType": DETAIL_TYPE,
        "Resources": [entry.arn],
        "Detail": json.dumps(detail),
    }
