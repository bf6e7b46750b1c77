"""What /proc says of the processes of an attempt: who is there, and who would get a SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from simulator.runtimes.port import ProcessInfo

DUMP_MARK = "=process="
DUMP_SCRIPT = f"""
for d in /proc/[0-9]*; do
  [ "${{d#/proc/}}" = "$$" ] && continue
  echo "{DUMP_MARK}"
  while IFS= read -r line; do echo "$line"; done <"$d/status" || continue
  printf 'Command: '; tr '\\000\\n' '  ' <"$d/cmdline" || true
  echo
  wchan= stat=
  read -r wchan <"$d/wchan" || true
  read -r stat <"$d/stat" || true
  echo "Wchan: $wchan"
  echo "Stat: $stat"
done 2>/dev/null
exit 0
"""
"""A POSIX shell script that prints, per process but itself, the mark, its /proc/PID/status and lines `Command: …`,
`Wchan: …` and `Stat: …`.
It is run inside the container, so that it works where the engine's machine is not this one (Docker Desktop)."""

_SIGTERM_BIT = 1 << (signal.SIGTERM - 1)


def parse_dump(text: str) -> list[ProcessInfo]:
    """The processes that DUMP_SCRIPT printed; the helpers that it started itself, and kernel threads, are left out."""
    found = [info for part in text.split(DUMP_MARK)[1:] if (info := parse_status(part)) is not None]
    return [process for process in found if process.command]


def parse_status(text: str) -> ProcessInfo | None:
    """One process from the text of its /proc/PID/status and a `Command:` line; None for a zombie or a torn text."""
    fields = dict(_fields(text))
    try:
        if fields["State"].startswith("Z"):
            return None
        return ProcessInfo(
            pid=int(fields["NSpid"].split()[-1] if "NSpid" in fields else fields["Pid"]),
            ppid=int(fields["PPid"]),
            command=fields.get("Command") or fields["Name"],
            catches_sigterm=_has_sigterm(fields["SigCgt"]),
            ignores_sigterm=_has_sigterm(fields["SigIgn"]),
            blocks_sigterm=_has_sigterm(fields["SigBlk"]),
            pends_sigterm=_has_sigterm(fields.get("SigPnd", "0")) or _has_sigterm(fields.get("ShdPnd", "0")),
            state=fields["State"][:1],
            wchan=fields.get("Wchan", "").removeprefix("0"),
            started=_started(fields.get("Stat", "")),
        )
    except (KeyError, ValueError):
        return None


def read_namespace(init_pid: int) -> list[ProcessInfo]:
    """The processes in the PID namespace whose first process has this pid on the host, with the pids they see."""
    try:
        namespace = Path(f"/proc/{init_pid}/ns/pid").readlink()
    except OSError:
        return []
    texts = {pid: text for pid in _pids() if (text := _read(pid, namespace)) is not None}
    inner = {pid: info.pid for pid, text in texts.items() if (info := parse_status(text)) is not None}
    infos = []
    for text in texts.values():
        info = parse_status(text)
        if info is not None:
            infos.append(replace(info, ppid=inner.get(info.ppid, 0)))  # status gives the pid that the host sees
    return sorted(infos, key=lambda info: info.pid)


def read_group(group: int) -> list[ProcessInfo]:
    """The processes of a process group, where there is no namespace to tell them by."""
    infos = []
    for pid in _pids():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            belongs = int(stat.rpartition(")")[2].split()[2]) == group
        except (OSError, ValueError, IndexError):
            continue
        if belongs and (text := _read(pid, None)) is not None and (info := parse_status(text)) is not None:
            infos.append(info)
    return infos


def _pids() -> Iterator[int]:
    try:
        names = [path.name for path in Path("/proc").iterdir()]
    except OSError:  # no /proc: macOS
        return
    yield from (int(name) for name in names if name.isdigit())


def _read(pid: int, namespace: Path | None) -> str | None:
    """Status, command line, wait and start of a process, where it is in the namespace."""
    folder = Path(f"/proc/{pid}")
    try:
        if namespace is not None and (folder / "ns" / "pid").readlink() != namespace:
            return None
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").replace(b"\n", b" ").strip()
        text = (folder / "status").read_text() + f"Command: {command.decode('utf-8', 'replace')}\n"
    except OSError:
        return None
    for name in ("wchan", "stat"):  # these need not be ours to read
        with suppress(OSError):
            text += f"{name.capitalize()}: {(folder / name).read_text(errors='replace')}\n"
    return text


def _started(stat: str) -> int | None:
    """The start time, field 22 of /proc/PID/stat; the second field is a name in brackets that may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else None


def _fields(text: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip(), value.strip()


def _has_sigterm(mask: str) -> bool:
    return bool(int(mask, 16) & _SIGTERM_BIT)
