"""Who is who: every client that ever said hello keeps its index, every live peer its client.

A peer is a connection and goes with it; a client is a name and stays in the journal.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from sorter import limits
from sorter.core.state import Client as Registered
from sorter.records import NONE_8, Names, Role

MEASURES: Final = 4  # of a client's clock, one a ping


@dataclass(slots=True)
class Client:
    """One named device or person, as it last said hello."""

    index: int
    name: str
    role: Role
    line: int = NONE_8
    line_name: str = ""
    peer: bytes = b""
    behind_ns: int = 0  # site time minus the client's own clock
    _measured_ns: deque[int] = field(default_factory=lambda: deque(maxlen=MEASURES))

    def measure(self, t_ns: int, device_t_ns: int) -> None:
        """The client said at `t_ns` that its own clock shows `device_t_ns`; 0: it has none.

        The least of the last measures counts, because a message that had to wait makes a clock
        look behind; a clock that was set is believed after as many messages.
        """
        if device_t_ns > 0:
            self._measured_ns.append(t_ns - device_t_ns)
            self.behind_ns = min(self._measured_ns)

    def age_us(self, t_ns: int, device_t_ns: int) -> int:
        """How long ago the client saw what it stamped `device_t_ns`; 0 when it gave no time."""
        if device_t_ns <= 0:
            return 0
        return min(max(t_ns - device_t_ns - self.behind_ns, 0) // 1000, 0xFFFF_FFFF)


@dataclass(slots=True)
class Clients:
    """All clients by name and by live peer."""

    by_name: dict[str, Client] = field(default_factory=dict)
    by_index: dict[int, Client] = field(default_factory=dict)
    by_peer: dict[bytes, Client] = field(default_factory=dict)
    plc_of: dict[int, Client] = field(default_factory=dict)  # line index -> the PLC client that serves it

    @classmethod
    def known(cls, rows: list[Registered], names: Names) -> Clients:
        """Every client of the journal; it has no peer until it says hello again."""
        found = cls()
        for row in rows:
            line_name = "" if row.line == NONE_8 else names.lines[row.line]
            client = Client(row.number, row.name, Role(row.role), row.line, line_name)
            found.by_name[client.name] = found.by_index[client.index] = client
        return found

    def index_for(self, name: str) -> int | None:
        """The client's index, a new one for a new name; None when there is no room for another."""
        known = self.by_name.get(name)
        if known:
            return known.index
        index = len(self.by_name) + 1
        return index if index < limits.CLIENTS_MAX else None

    def arrive(self, client: Client) -> None:
        """A client said hello on a peer: what an older connection of it says no longer counts."""
        before = self.by_name.get(client.name)
        if before:
            self.by_peer.pop(before.peer, None)
        self.by_name[client.name] = self.by_index[client.index] = client
        self.by_peer[client.peer] = client
        if client.role == Role.PLC:
            self.plc_of[client.line] = client
