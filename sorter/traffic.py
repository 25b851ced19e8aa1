"""What goes through the loop: frames that wait for room, and what was counted on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from sorter.latency import Latency
from sorter.wire.endpoints import Frame
from sorter.wire.frames import AnyMessage, Refuse


class Waiting(NamedTuple):
    """A decoded frame and who takes it; without room in the batch it opens the next one."""

    frame: Frame
    messages: list[AnyMessage]
    fault: Refuse | None  # what is wrong with a frame that holds no messages
    take: Callable[[Waiting, int], bool]


@dataclass(slots=True)
class Traffic:
    """Counts since the daemon started, for status and metrics."""

    frames: int = 0
    malformed: int = 0
    refused: int = 0
    diverts: int = 0
    unsent: int = 0  # diverts for which no PLC was there, or only one that has started again
    latency: Latency = field(default_factory=Latency)  # from a scan's arrival to its divert on the socket
