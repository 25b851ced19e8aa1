"""One line's heads become scans: telegrams are understood, merged, paired with the PLC's items and posted.

No socket and no clock: bytes and times are arguments. An item whose reading is missing or not surely
its own is posted without codes, so that it goes where exceptions go and not to another parcel's village.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from plc_adapter.scanner.pairing import UNUSED, Paired, Tracking, Travel, pairing
from plc_adapter.scanner.settings import Scanner
from plc_adapter.scanner.telegram import Heartbeat, Nonsense, Units, read
from plc_adapter.scanner.tunnel import Merged, Tunnel
from sorter.wire.frames import Scan
from sorter.wire.session import OutboxFull

COMPLAINTS_MAX: Final = 32  # different sentences kept until they are told


class Gateway:
    """Between the heads of one line and the wire. Call `due` often: each call posts what is decided."""

    def __init__(
        self, line: str, heads: Mapping[str, Scanner], tracking: Tracking, post: Callable[[Scan], object]
    ) -> None:
        """`heads` in the order in which their codes are to stand; `post` may raise OutboxFull."""
        self.line = line
        self.counts: Counter[str] = Counter()  # telegrams, heartbeats, nonsense, unmeasured, scans, unposted
        self._complaints: Counter[str] = Counter()  # sentence -> telegrams, since it was last told
        self._heads = heads
        self._units = {head: Units() for head in heads}
        self._post = post
        self._tracking = tracking
        self._tunnel = Tunnel(tuple(heads), tracking.merge_ns)
        self._pairing = pairing(tracking, len(heads))
        self._travel = Travel(line, tracking)
        self._met = False  # the PLC, at least once

    @property
    def figures(self) -> dict[str, int]:
        """All that was counted, by name."""
        fates = {str(fate): count for fate, count in self._pairing.counts.items()}
        return {**self.counts, **self._tunnel.counts, **fates}

    @property
    def unpaired(self) -> int:
        """How often codes were given to no item, because they were not surely its own."""
        return sum(self._pairing.counts[fate] for fate in UNUSED)

    def telegram(self, head: str, telegram: bytes, now_ns: int) -> bytes | None:
        """A head sent a whole telegram; returns what to answer, b"" for nothing, None: it was not understood."""
        self.counts["telegrams"] += 1
        said = read(telegram, self._heads[head], self._units[head])
        if isinstance(said, Heartbeat):
            self.counts["heartbeats"] += 1
            return self._heads[head].heartbeat_reply.encode()
        if isinstance(said, Nonsense):
            self._complain("nonsense", head, said.words)
            return None
        if said.unmeasured:
            self._complain("unmeasured", head, said.unmeasured)
        self._pair(self._tunnel.read(head, said, now_ns), now_ns)
        return b""

    def entered(self, item: int, t_ns: int, now_ns: int) -> None:
        """The PLC counted an item at `t_ns`."""
        self._travel.entered(item, t_ns)
        for paired in self._pairing.entered(item, t_ns, now_ns):
            self._scan(paired)

    def left(self, item: int, t_ns: int) -> None:
        """The item dropped or got lost."""
        self._pairing.left(item, t_ns)

    def distrust(self, now_ns: int) -> None:
        """A reader or the PLC was away: what comes may be old."""
        self._pairing.distrust(now_ns)

    def held(self, for_ns: int, now_ns: int) -> None:
        """What a reader says now may have come so long ago: too long for a window, and its order is not known."""
        if for_ns > self._tracking.window_ns // 2:
            self._pairing.distrust(now_ns)

    def missed(self, now_ns: int) -> None:
        """Reports of the PLC are missing: what is on the belt is not all known."""
        self._pairing.missed(now_ns)

    def began(self, now_ns: int) -> None:
        """The PLC has started, or is met for the first time: numbers of before mean others now.

        Parcels that are open in the tunnel stay there, for what slow heads say of them is to find them and
        no new parcel. Each comes out with the time of its first telegram, and so is of before.
        """
        before, self._pairing = self._pairing, pairing(self._tracking, len(self._heads))
        self._pairing.follow(before)
        self._pairing.began(now_ns, again=self._met)
        self._met = True

    def due(self, now_ns: int) -> None:
        """Post what is decided by now."""
        self._travel.due(now_ns)
        self._pair(self._tunnel.due(now_ns), now_ns)
        for paired in self._pairing.due(now_ns):
            self._scan(paired)

    def news(self) -> list[str]:
        """What the log should carry, each once; no codes are in it."""
        told = [f"{words} ({count} telegrams)" for words, count in self._complaints.items()]
        self._complaints.clear()
        while self._tunnel.late:
            told.append(self._tunnel.late.popleft().text)
        while self._pairing.events:
            told.append(self._pairing.events.popleft().text)
        return told + self._travel.news()

    def _complain(self, kind: str, head: str, words: str) -> None:
        self.counts[kind] += 1
        sentence = f"head {head}: {words}"
        if len(self._complaints) < COMPLAINTS_MAX or sentence in self._complaints:
            self._complaints[sentence] += 1

    def _pair(self, merged: list[Merged], now_ns: int) -> None:
        for one in merged:
            self._travel.read(one.t_ns, one.id)
            for paired in self._pairing.read(one, now_ns):
                self._scan(paired)

    def _scan(self, paired: Paired) -> None:
        scan = Scan(
            seq=0,
            item=paired.item,
            codes=list(paired.codes),
            weight_g=paired.weight_g,
            size_mm=paired.size_mm,
            lap=paired.lap,
            t_ns=paired.t_ns,
        )
        try:
            self._post(scan)
        except OutboxFull:
            self.counts["unposted"] += 1
        else:
            self.counts["scans"] += 1
