"""Carries jobs out: each in a thread of its own, by the engine that `run` has, with a run folder at its end."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.checkpoints.none import NoStore
from simulator.checkpoints.s3 import S3Store
from simulator.checkpoints.s3_client import ensure_bucket, make_s3_client
from simulator.checkpoints.store import ObjectStore
from simulator.checkpoints.sync import SyncOptions
from simulator.core.errors import EnvironmentFailure, SimulatorError, UsageError
from simulator.core.job import split_s3_uri
from simulator.core.lifecycle import MESSAGES, SecondaryStatus
from simulator.core.timeline import Event, Kind
from simulator.engine.clock import SystemClock
from simulator.engine.equipment import EngineOptions
from simulator.engine.job_run import JobRun
from simulator.engine.recorder import Recorder
from simulator.engine.surroundings import Surroundings
from simulator.reports.folder import RunFolder
from simulator.reports.record import RunRecord
from simulator.runtimes.ownership import make_scratch
from simulator.runtimes.port import Runtime, RuntimeName
from simulator.service.jobs import JobEntry
from simulator.service.request_job import keeps_warm, safe_name, unreadable_metrics
from simulator.service.settings import ResolveImage
from simulator.service.telling import LogStream, StateChanges
from simulator.service.transfers import Downloads, Uploads
from simulator.service.verdicts import verdict_told
from simulator.verdict import judge

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Say = Callable[[str], None]
SERVER_ENDED = "InternalServerError: spot-simulator serve ended while the job ran"
END_SECONDS = 20.0  # for all jobs' instances to go when the server ends


class ServerEnds(EnvironmentFailure):
    """The server is ending, and with it every job."""

    def __init__(self) -> None:
        super().__init__("spot-simulator serve ended", "it was asked to", "start it again, and create the job again")


class Runner:
    """`endpoint` is the S3 of this server itself. `changed` hears of every change of a record, from any thread."""

    def __init__(
        self,
        runtime: Runtime,
        runs: Path,
        resolve_image: ResolveImage,
        say: Say,
        changed: Callable[[JobEntry], None] = lambda entry: None,
    ) -> None:
        self._runtime, self._runs, self._resolve_image = runtime, runs, resolve_image
        self._say, self._changed = say, changed
        self._states = StateChanges()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._reporting = threading.Lock()  # matplotlib draws for one thread at a time
        self._ending = False
        self._client: S3Client | None = None
        self.endpoint = ""

    @property
    def runtime(self) -> Runtime:
        """Where the jobs run."""
        return self._runtime

    def start(self, entry: JobEntry) -> None:
        """Begin a job; returns at once."""
        thread = threading.Thread(target=self._carry_out, args=(entry,), name=f"job {entry.name}", daemon=True)
        with self._lock:
            self._threads = [each for each in self._threads if each.is_alive()]
            self._threads.append(thread)
        thread.start()

    def close(self, entries: list[JobEntry]) -> None:
        """End every running job, and take no more."""
        self._ending = True
        self.end(entries)
        self._states.close()
        if self._client is not None:
            self._client.close()

    def end(self, entries: list[JobEntry]) -> None:
        """End the running ones of these jobs: the instance goes, and the job is Failed with a reason that says so."""
        for entry in entries:
            if entry.run is not None and not entry.is_over:
                entry.run.abort(ServerEnds())
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(END_SECONDS)

    def _carry_out(self, entry: JobEntry) -> None:
        try:
            with ExitStack() as stack:
                self._run(entry, stack)
        except Exception as error:  # noqa: BLE001 - whatever fails, the job must not stay InProgress for ever
            self._say(f"{entry.name}: {type(error).__name__}: {error}")
            if not entry.is_over:
                entry.failure_reason = f"InternalServerError: {type(error).__name__}: {error}"
                failed = {"status": SecondaryStatus.FAILED.value, "message": MESSAGES[SecondaryStatus.FAILED]}
                event = Event((datetime.now(UTC) - entry.started_at).total_seconds(), Kind.SECONDARY_STATUS, 0, failed)
                entry.timeline.append(event)
                entry.take(event)
        finally:
            entry.run = None
            entry.reported.set()
            self._changed(entry)

    def _run(self, entry: JobEntry, stack: ExitStack) -> None:
        run_id = secrets.token_hex(4)
        scratch = make_scratch(run_id)
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        client = self._s3()
        folder = self._folder(entry)
        stack.callback(folder.close)
        clock = SystemClock()
        entry.started_at, entry.folder = clock.started_at, folder.path
        logs = {host: LogStream(entry.region, name) for host, name in entry.log_streams.items()}
        logs[""] = logs[entry.job.hosts[0]]  # the host is not named where there is one

        def state_changed(event: Event) -> None:
            if event.kind is Kind.SECONDARY_STATUS:
                self._say(f"{entry.name}: {event.data['status']}")
                self._states.tell(entry)
                self._changed(entry)

        recorder = Recorder(
            clock,
            [entry.take, folder.on_event, state_changed],
            [folder.on_log, lambda attempt, line, host: logs[host].write(line)],
        )
        entry.timeline = recorder.timeline
        options = EngineOptions(SyncOptions(local_path=entry.job.CheckpointConfig.LocalPath))
        failure: SimulatorError | None = None
        try:
            self._tell_differences(entry, recorder)
            self._make_buckets(entry, client)
            if self._runtime.name is RuntimeName.LOCAL_MODE:
                entry.job = replace(entry.job, image=self._resolve_image(entry.job.image or ""))
            entry.run = JobRun(
                job=entry.job,
                plan=entry.plan,
                runtime=self._runtime,
                store=self._store(entry, client, stack),
                recorder=recorder,
                clock=clock,
                scratch=scratch,
                run_id=run_id,
                options=options,
                surroundings=Surroundings(
                    Downloads(entry.request, client, self._runtime),
                    Uploads(entry.request, entry.name, client, scratch, lambda told: self._warn(entry, recorder, told)),
                ),
                retries=entry.request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0),
            )
            if entry.stop_asked:
                entry.run.stop()
            if self._ending:
                entry.run.abort(ServerEnds())
            entry.run.run()
        except SimulatorError as error:
            failure = error
            self._failed(entry, recorder, error)
        verdict = judge(entry.timeline)
        entry.verdict = verdict.verdict.value
        entry.verdict_told = verdict_told(verdict, entry.is_spot, entry.stop_asked)
        record = RunRecord(
            job=entry.job,
            plan=entry.plan,
            timeline=entry.timeline,
            started_at=clock.started_at,
            verdict=verdict,
            runtime=self._runtime.name.value,
            fidelity_lost=self._runtime.fidelity_lost,
            options=options,
            partial=None if failure is None else failure.what,
        )
        with self._reporting:
            folder.write_report(record)
        self._say(f"{entry.name}: {entry.verdict_told}; spot-simulator report {folder.path}")

    def _s3(self) -> S3Client:
        """The client of all jobs: it is thread-safe, and one a job would take 15 MiB each."""
        with self._lock:
            if self._client is None:
                self._client = make_s3_client(self.endpoint)
            return self._client

    def _folder(self, entry: JobEntry) -> RunFolder:
        """The job's run folder; a name that an earlier job had gets the time it was created at as well."""
        path = self._runs / safe_name(entry.name)
        if path.exists():
            path = path.with_name(f"{path.name}-{entry.created_at:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")
        return RunFolder.create(path, self._say)

    def _store(self, entry: JobEntry, client: S3Client, stack: ExitStack) -> ObjectStore:
        if not entry.job.has_checkpoints:
            return NoStore()
        store = S3Store(client, entry.job.CheckpointConfig.bucket, entry.job.CheckpointConfig.prefix)
        stack.callback(store.close)
        return store

    def _make_buckets(self, entry: JobEntry, client: S3Client) -> None:
        """The buckets that the job writes to exist in the account that launch code knows; here they are made."""
        uris = [entry.request["OutputDataConfig"]["S3OutputPath"]]
        if entry.job.has_checkpoints:
            uris.append(entry.job.CheckpointConfig.S3Uri)
        for bucket in {split_s3_uri(uri)[0] for uri in uris}:
            ensure_bucket(client, bucket)

    def _tell_differences(self, entry: JobEntry, recorder: Recorder) -> None:
        """What this job asked for and does not get, on its timeline and in the server's log."""
        told = [
            f"the expression of the metric {name} cannot be read here" for name in unreadable_metrics(entry.request)
        ]
        mode = entry.request.get("AlgorithmSpecification", {}).get("TrainingInputMode")
        for channel in entry.request.get("InputDataConfig", []):
            if channel.get("InputMode", mode) == "FastFile":
                told.append(
                    f"the channel {channel['ChannelName']} is in FastFile mode and is downloaded as in File mode"
                )
        if keeps_warm(entry.request):
            told.append(
                "KeepAlivePeriodInSeconds keeps no warm pool here: WarmPoolStatus is Terminated at the job's end"
            )
        for sentence in told:
            self._warn(entry, recorder, sentence)

    def _warn(self, entry: JobEntry, recorder: Recorder, sentence: str) -> None:
        recorder.record(Kind.WARNING, data={"message": sentence})
        self._say(f"{entry.name}: {sentence}")

    def _failed(self, entry: JobEntry, recorder: Recorder, error: SimulatorError) -> None:
        """The machine failed, which the service calls an InternalServerError, or the request cannot be run here."""
        kind = "ClientError" if isinstance(error, UsageError) else "InternalServerError"
        reason = SERVER_ENDED if isinstance(error, ServerEnds) else f"{kind}: {error.what}: {error.why}"
        entry.failure_reason = reason[:1024]
        self._say(f"{entry.name}: {entry.failure_reason}")
        if not entry.is_over:
            recorder.record(
                Kind.SECONDARY_STATUS,
                data={"status": SecondaryStatus.FAILED.value, "message": MESSAGES[SecondaryStatus.FAILED]},
            )
