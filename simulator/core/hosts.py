"""Whose word is taken where a job has several hosts: `as_judged` makes one story of what all of them did. Pure.

All hosts share one checkpoint prefix, begin together and go together. Rules and reports know one process, one walk
through the steps and one disk, so each kind of event is taken from where it tells the job's story:

- Metrics and samples are the leading host's (the first one's), or where it told none in an attempt, the next one's
  that did: some launchers choose rank 0 anew. All hosts' together would count each step, and each sample, once a host.
- What happened to the process is the leading host's too, with two exceptions. In a failed attempt it is that of the
  host that ended the job: the leader was only killed for it, and its log has no word of why. In a reclaimed attempt
  whose leader had left before, it is that of the next host that the signals still reached: they did come.
- Files and uploads are all hosts', as ranks with files of their own (shards) together are one checkpoint. A path that
  several hosts wrote in one attempt has one story, though: that of the host whose bytes S3 held in the end, the leader
  before others; it is told as the first writer's. Else a copy that a second host writes, uploads or loses would look
  like a write that was paused, cut or never uploaded. That their bytes differ is SPOT018's, which reads the whole
  timeline.
- What a host deletes that another one wrote is the object's end, which manifests tell, and not the end of the writer's
  own file. Copies that were restored to other hosts and lie there until the end are no state of the job.
- /opt/ml/model is all hosts' together, the leader's file before others of its name. Lines about checkpoints are all
  hosts': whoever finds its part torn says so.

Limit: followers' progress is not judged. A rank that begins anew while the leader goes on is not seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simulator.core.timeline import Event, Kind, Timeline

OF_THE_TELLER = frozenset({Kind.METRIC, Kind.SAMPLES})
OF_THE_LEADER = frozenset({Kind.RESTORE_STARTED, Kind.OBJECT_RESTORED, Kind.RESTORE_FINISHED})
OF_THE_SPEAKER = frozenset(
    {
        Kind.PROCESS_STARTED,
        Kind.PROCESS_EXITED,
        Kind.PROCESSES,
        Kind.LOG_MATCHED,
        Kind.LOG_LINE,
        Kind.NOTICE_GIVEN,
        Kind.SIGNAL_SENT,
        Kind.KILLED,
    }
)
_WRITES = frozenset(
    {
        Kind.FILE_CHANGED,
        Kind.FILE_SETTLED,
        Kind.UPLOAD_STARTED,
        Kind.UPLOAD_FINISHED,
        Kind.UPLOAD_FAILED,
        Kind.UPLOAD_ABANDONED,
    }
)


def hosts_of(timeline: Timeline) -> Sequence[str]:
    """The job's hosts, the leading one first; empty where there is only one, or where nothing began."""
    started = timeline.first(Kind.ATTEMPT_STARTED)
    hosts = [str(host) for host in started.data.get("hosts", ())] if started is not None else []
    return hosts if len(hosts) > 1 else []


def host_of(event: Event) -> str:
    """The host that an event happened on; empty where the job has only one, or where it happened to all of them."""
    return str(event.data.get("host", ""))


def is_a_followers(event: Event, hosts: Sequence[str]) -> bool:
    """Whether an event tells of the process of another host than the leading one; so while a job still runs, when
    nobody knows yet who will have ended it."""
    process_level = event.kind in OF_THE_SPEAKER or event.kind in OF_THE_LEADER or event.kind in OF_THE_TELLER
    return bool(hosts) and process_level and host_of(event) not in ("", hosts[0])


def log_name(attempt: int, host: str = "") -> str:
    """What the log of an attempt is called, or that of one of its hosts."""
    return f"attempt-{attempt}.{host}.log" if host else f"attempt-{attempt}.log"


def log_to_read(attempt: int, hosts: Sequence[str], host: str = "") -> str:
    """The log in which people look first: that of `host`, or else of the leading one; `hosts` as from `hosts_of`."""
    return log_name(attempt, host or next(iter(hosts), ""))


def exit_codes(timeline: Timeline, attempt: int) -> Mapping[str, int | None]:
    """Host → its exit code, of those that ended."""
    return {host_of(event): event.data.get("exit_code") for event in timeline.of(Kind.PROCESS_EXITED, attempt=attempt)}


def ended_by(timeline: Timeline, attempt: int) -> str:
    """The host whose exit failed the attempt, where that was another than the leading one; else empty."""
    hosts = hosts_of(timeline)
    if not hosts:
        return ""
    speaker = _speaker(timeline.of(*OF_THE_SPEAKER, Kind.ATTEMPT_ENDED, attempt=attempt), hosts)
    return (
        speaker
        if speaker != hosts[0] and _outcome(timeline.of(Kind.ATTEMPT_ENDED, attempt=attempt)) == "failed"
        else ""
    )


def as_judged(timeline: Timeline) -> Timeline:
    """The timeline as rules and reports read it; the very same one where the job has one host."""
    hosts = hosts_of(timeline)
    if not hosts:
        return timeline
    attempts: dict[int, list[Event]] = defaultdict(list)
    for event in timeline:
        attempts[event.attempt].append(event)
    views = {number: _Attempt(events, hosts) for number, events in attempts.items()}
    return Timeline(told for event in timeline if (told := views[event.attempt].told(event)) is not None)


class _Attempt:
    """What of one attempt is told."""

    def __init__(self, events: Sequence[Event], hosts: Sequence[str]) -> None:
        self._hosts = hosts
        self._speaker = _speaker(events, hosts)
        self._tellers = {kind: _first_of(hosts, (e for e in events if e.kind is kind)) for kind in OF_THE_TELLER}
        self._owners, self._writers = _owners(events, hosts)
        models = [event for event in events if event.kind is Kind.MODEL_FILES]
        self._last_model = models[-1] if models else None
        self._model = _united(models, hosts)
        self._model_states = _first_states(events, hosts)
        self._about = _said_about_checkpoints(events, hosts)

    def told(self, event: Event) -> Event | None:
        """The event, or another in its place; None where it is left out."""
        host = host_of(event)
        if not host or event.kind is Kind.ATTEMPT_STARTED:
            return event
        path = str(event.data.get("path", ""))
        match event.kind:
            case kind if kind in OF_THE_TELLER:
                return event if host == self._tellers[kind] else None
            case kind if kind in OF_THE_LEADER:
                return event if host == self._hosts[0] else None
            case Kind.PROCESS_EXITED if host == self._speaker and "log_about_checkpoints" in event.data:
                return _with(event, log_about_checkpoints=self._about)
            case kind if kind in OF_THE_SPEAKER:
                return event if host == self._speaker else None
            case kind if kind in _WRITES or kind is Kind.FILE_DELETED:
                return self._of_owner(event, host, path, host)
            case Kind.MODEL_FILES:
                return _with(event, files=self._model) if event is self._last_model else None
            case Kind.STATE if event.data.get("place") == "model":
                return event if host == self._model_states[path] else None
            case Kind.STATE:
                return self._of_owner(event, host, path, self._hosts[0] if event.data.get("when") == "end" else host)
        return event

    def _of_owner(self, event: Event, host: str, path: str, unless_written: str) -> Event | None:
        if host != self._owners.get(path, unless_written):
            return None
        teller = self._writers.get(path, host)
        return event if teller == host else _with(event, host=teller)


def _outcome(events: Iterable[Event]) -> str | None:
    ended = [event for event in events if event.kind is Kind.ATTEMPT_ENDED]
    return str(ended[-1].data.get("outcome")) if ended else None


def _speaker(events: Sequence[Event], hosts: Sequence[str]) -> str:
    """The host whose process stands for all."""
    match _outcome(events):
        case "failed":
            bad = [event for event in events if event.kind is Kind.PROCESS_EXITED and event.data.get("exit_code")]
            own = [event for event in bad if not event.data.get("after_sigterm")]
            return (host_of(own[0]) if own else _first_of(hosts, bad)) or hosts[0]
        case "reclaimed":
            reached = (
                e for e in events if e.data.get("delivered") or (e.kind is Kind.KILLED and e.data.get("observed"))
            )
            return _first_of(hosts, reached) or hosts[0]
    return hosts[0]


def _first_of(hosts: Sequence[str], events: Iterable[Event]) -> str:
    """The first of the hosts on which any of these events happened; empty where none did."""
    there = {host_of(event) for event in events}
    return next((host for host in hosts if host in there), "")


def _owners(events: Sequence[Event], hosts: Sequence[str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Path → the host whose writes of it are told: of several, the one whose bytes S3 held in the end; and path → the
    first host in order that wrote it."""
    writers: dict[str, set[str]] = defaultdict(set)
    sent: dict[tuple[str, str], list[str]] = defaultdict(list)
    held: Mapping[str, Mapping[str, Any]] = {}
    for event in events:
        host, path = host_of(event), str(event.data.get("path", ""))
        if event.kind in _WRITES and host in hosts:
            writers[path].add(host)
        if event.kind is Kind.UPLOAD_FINISHED:
            sent[path, host].append(str(event.data.get("digest", "")))
        if event.kind is Kind.MANIFEST and event.data.get("when") in ("kill", "end"):
            held = event.data.get("files", {})

    def rank(path: str, host: str) -> tuple[bool, bool, int]:
        digests, digest = sent[path, host], str((held.get(path) or {}).get("digest", ""))
        has_it = bool(digest) and digest in digests
        return not (has_it and digests[-1] == digest), not has_it, hosts.index(host)

    owners = {path: min((rank(path, host), host) for host in known)[1] for path, known in writers.items()}
    return owners, {path: min(known, key=hosts.index) for path, known in writers.items()}


def _united(models: Sequence[Event], hosts: Sequence[str]) -> Mapping[str, Any]:
    """/opt/ml/model of all hosts."""
    by_host = {host_of(event): event.data.get("files", {}) for event in models}
    return {path: facts for host in reversed(hosts) for path, facts in by_host.get(host, {}).items()}


def _first_states(events: Sequence[Event], hosts: Sequence[str]) -> Mapping[str, str]:
    """Path below /opt/ml/model → the first host whose state of it was read."""
    readers: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.kind is Kind.STATE and event.data.get("place") == "model":
            readers[str(event.data["path"])].append(event)
    return {path: _first_of(hosts, read) for path, read in readers.items()}


def _said_about_checkpoints(events: Sequence[Event], hosts: Sequence[str]) -> list[str]:
    """All hosts' lines about checkpoints, the same line once."""
    said = {host_of(e): e.data.get("log_about_checkpoints", ()) for e in events if e.kind is Kind.PROCESS_EXITED}
    return list(dict.fromkeys(str(line) for host in hosts for line in said.get(host, ())))


def _with(event: Event, **data: Any) -> Event:
    return Event(event.at, event.kind, event.attempt, {**event.data, **data})
