"""Who tells the hub what a line's reader read, and says for each passage which codes really left.

A line with `[scanner.NAME]` sections speaks its makers' telegrams over TCP, and the adapter makes scans
of them; any other posts its scans to the daemon itself.

Telegrams take real time, which is `rate` times as long on a site's clock that goes faster: readings find
their items as long as window_ms / rate is more than the machine is late. On two quiet cores 5 ms were
enough, by id as by order (all of 764 at rate 30 and 150 ms); on two busy ones they lost 11 of 319 by order,
and 12.5 ms beside them none of 116: what leaves less than that is told by `haste`. By id the PLC's report
has to come before the reading, too: 15 ms for travel_ms / rate lost 14 of 262 there. No figure is enough
for any machine: on busier cores 12.5 ms lost 5 of 204, and once the emulator alone was late by 250 ms.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from plc_adapter.emulator import telegrams
from plc_adapter.emulator.reader_face import ReaderFace
from plc_adapter.emulator.reading import Passage
from plc_adapter.scanner.pairing import Tracking
from plc_adapter.scanner.settings import Scanner
from plc_adapter.scanner.telegram import Reading
from sorter.limits import ITEM_NUMBER_MAX, RESEND_MAX
from sorter.wire.client import Client
from sorter.wire.frames import Scan

WINDOW_REAL_MS: Final = 12.5  # what is to be left of window_ms in real time


def haste(tracking: Mapping[str, Tracking], rate: float) -> list[str]:
    """On which lines a site's clock of this rate is too fast for readings to find their items, and what to write.

    Real time never is: there a plant's window_ms is the engineer's matter.
    """
    fastest = {line: max(1.0, settings.window_ms / WINDOW_REAL_MS) for line, settings in tracking.items()}
    return [
        f"[tracking.{line}] window_ms = {tracking[line].window_ms:g} at speed {rate:g} is "
        f"{tracking[line].window_ms / rate:.2g} ms of real time, and readings need {WINDOW_REAL_MS:g} ms to find their "
        f"items; the greatest speed with these readers is {min(fastest.values()):g}. Take that, or raise window_ms: "
        "by order to less than a quarter of the time between parcels, by id to 10000 at most"
        for line, most in fastest.items()
        if rate > most
    ]


class Readers(Protocol):
    """What a line needs of its readers."""

    weighs: bool  # they tell weights
    sizes: bool  # they tell sizes

    @property
    def unacknowledged(self) -> int:
        """Scans that are not known to have arrived; 0 where nobody would tell."""

    def send(self, passage: Passage) -> tuple[str, ...] | None:
        """Tell of a passage; the codes that left, None when nothing did."""

    def poll(self) -> None:
        """Call often. Raises OSError when a reader's address cannot be listened at."""

    def cut(self, for_s: float) -> None:
        """For so long (real time) nobody hears the readers, and what they read is gone."""

    def mend(self) -> None:
        """End a cut now."""

    def close(self) -> None:
        """Let go of all connections."""


class WireReader:
    """A reader that posts its scans to the daemon itself, and again until they are on disk."""

    def __init__(self, line: str, devices: str, keys: Path | None, now_ns: Callable[[], int]) -> None:
        """`devices` is the daemon's address, `keys` the folder of the site's keys."""
        self.weighs = self.sizes = True
        name = f"scanner-{line}"
        key = keys / f"{name}.secret" if keys else None
        self._line = line
        self._client = Client(devices, role="scanner", line=line, client=name, key=key, now_ns=now_ns)
        self._waiting: deque[Scan] = deque()
        self._mended_s = 0.0  # real time when readings count again

    @property
    def unacknowledged(self) -> int:
        """Scans that are not known to be on the daemon's disk."""
        return len(self._waiting) + int(self._client.unacknowledged)

    def send(self, passage: Passage) -> tuple[str, ...] | None:
        """Post a passage with the next `poll`."""
        if time.monotonic() < self._mended_s:
            return None
        scan = Scan(
            seq=0,
            item=passage.item,
            line=self._line,
            codes=list(passage.codes),
            weight_g=passage.weight_g,
            size_mm=passage.size_mm,
            induct=passage.induct,
            lap=passage.lap,
            t_ns=passage.t_ns,
        )
        self._waiting.extend([scan, scan] if passage.is_double else [scan])
        return passage.codes

    def poll(self) -> None:
        """Post what waits, all of it in one frame, as far as there is room."""
        while self._waiting and self._client.unacknowledged < RESEND_MAX:
            self._client.post(self._waiting.popleft())
        self._client.poll()

    def cut(self, for_s: float) -> None:
        """For so long (real time) what is read is gone."""
        self._mended_s = max(self._mended_s, time.monotonic() + for_s)

    def mend(self) -> None:
        """End a cut now."""
        self._mended_s = 0.0

    def close(self) -> None:
        """Let go of the daemon."""
        self._client.close()


class Heads:
    """The heads around one tunnel, each a reader on the network. Its event loop must run.

    Each code is seen by one head, or by two; which ones follows from parcel and lap. Every head speaks
    of every parcel, and those that see no code say so.
    """

    def __init__(self, heads: Mapping[str, Scanner], tracking: Tracking) -> None:
        self.faces = [ReaderFace(name, scanner) for name, scanner in heads.items()]
        carried = set().union(*(telegrams.fields_of(scanner) for scanner in heads.values()))
        self.weighs, self.sizes = "weight" in carried, "length" in carried
        self.unacknowledged = 0
        self._id_mask = 0xFFFF if tracking.id_bits == 16 else ITEM_NUMBER_MAX
        self._tasks: list[asyncio.Task[None]] = []

    def send(self, passage: Passage) -> tuple[str, ...] | None:
        """Every head says what it saw; the codes that were heard."""
        seen = self._seen(passage)
        heard: list[str] = []
        said = False
        for face, codes in zip(self.faces, seen, strict=True):
            telegram = telegrams.write(self._reading(passage, codes), face.scanner)
            if telegram and face.say(telegram):
                said = True
                heard += codes
                if passage.is_double:
                    face.say(telegram)
        return tuple(dict.fromkeys(heard)) if said else None

    def poll(self) -> None:
        """Start the readers with the first call. Raises OSError when an address cannot be listened at."""
        self._tasks = self._tasks or [asyncio.create_task(face.run()) for face in self.faces]
        for task in self._tasks:
            if task.done():
                task.result()

    def cut(self, for_s: float) -> None:
        """Close all connections, and have none for so long (real time)."""
        for face in self.faces:
            face.cut(for_s)

    def mend(self) -> None:
        """End a cut now."""
        for face in self.faces:
            face.mend()

    def close(self) -> None:
        """Let go of all connections."""
        for task in self._tasks:
            task.cancel()

    def _seen(self, passage: Passage) -> list[tuple[str, ...]]:
        """The codes that each head sees."""
        seen: list[dict[str, None]] = [{} for _ in self.faces]
        for number, code in enumerate(dict.fromkeys(passage.codes)):
            at = passage.parcel + passage.lap + number
            for head in {at % len(seen), at // 2 % len(seen)}:
                if len(seen[head]) < telegrams.codes_max(self.faces[head].scanner):
                    seen[head][code] = None
        return [tuple(codes) for codes in seen]

    def _reading(self, passage: Passage, codes: tuple[str, ...]) -> Reading:
        size_mm = passage.size_mm if all(passage.size_mm) else None
        number = passage.item & self._id_mask
        return Reading(codes, not codes, passage.weight_g, size_mm, number, passage.t_ns)
