"""How the hosts of an attempt find each other: /etc/hosts names loopback addresses that are theirs alone.

A server that binds to its host's name can then use one port on every host, and in every job that runs meanwhile.
"""

from __future__ import annotations

import errno
import itertools
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

from simulator.core.errors import EnvironmentFailure

MOST_HOSTS = 254
MACHINES_HOSTS = Path("/etc/hosts")
_BLOCKS = range(0x0100, 0x10000)  # 127.1.0 to 127.255.255; in 127.0 are localhost and resolvers
_turn = itertools.count(secrets.randbelow(len(_BLOCKS)))
"""Each attempt takes the next block: an address just used may have connections in TIME_WAIT, a new instance none."""


class Block:
    """The addresses 127.x.y.1 to 127.x.y.254. Nobody else on this machine gets them until the block and all its shares
    are closed, or their process has ended: a socket that is named after them holds them."""

    def __init__(self, number: int, held: socket.socket) -> None:
        self._number, self._held = number, held

    def share(self) -> Block:
        """The same block for one more, who closes it too."""
        return Block(self._number, self._held.dup())

    def address(self, index: int) -> str:
        """The address of the host that is the job's `index`th, from 0 on."""
        return f"127.{self._number >> 8}.{self._number & 0xFF}.{index + 1}"

    def name_hosts(self, hosts: Sequence[str], file: Path) -> None:
        """Write what is to be the hosts' /etc/hosts. Raises OSError."""
        try:
            machines = MACHINES_HOSTS.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            machines = "127.0.0.1\tlocalhost\n"
        own = [f"{self.address(index)}\t{host}\n" for index, host in enumerate(hosts)]
        file.write_text("".join([*without(machines, hosts), *own]), encoding="utf-8", errors="surrogateescape")
        file.chmod(0o644)

    def close(self) -> None:
        """Let go of it. Safe to call again."""
        self._held.close()


def take_block() -> Block:
    """A block that nobody has. Raises EnvironmentFailure."""
    try:
        for number in (_BLOCKS[next(_turn) % len(_BLOCKS)] for _ in _BLOCKS):
            held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                held.bind(f"\0spot-simulator-block-{number}")  # abstract: the kernel forgets it with its last holder
            except OSError as error:
                held.close()
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return Block(number, held)
        raise OSError(errno.EADDRNOTAVAIL, "all of 127.1.0.0 to 127.255.255.255 are taken")
    except OSError as error:
        raise EnvironmentFailure(
            "the hosts of the attempt could not be given addresses",
            str(error),
            "allow more open files, or run fewer jobs at a time: ulimit -n 4096",
        ) from error


def without(machines: str, hosts: Sequence[str]) -> list[str]:
    """The lines of the machine's /etc/hosts, those that name one of the hosts without that name."""
    lines = []
    for line in machines.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if names and not set(hosts).isdisjoint(names):
            names = [name for name in names if name not in hosts]
            line = f"{address}\t{' '.join(names)}" if names else ""
        lines.append(f"{line}\n")
    return lines
