"""The passes of items by the reader, in the order of the belt; each is decided once and then let go."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass

from plc_adapter.scanner.pairing.fate import Fate
from plc_adapter.scanner.pairing.tracking import Tracking
from sorter import limits


@dataclass(slots=True, eq=False)
class Pass:
    """An item that comes by the reader once."""

    item: int
    expected_ns: int
    lap: int = 0
    known: tuple[str, ...] = ()  # its codes a lap before
    doubt: Fate | None = None  # why it gets no codes, whatever is read
    fate: Fate | None = None  # what became of it; None: not decided
    untold_ns: int | None = None  # when it was first read unexpectedly: how often it had passed is not known
    gone: bool = False  # it dropped while its window was open: nothing is to be told of it

    @property
    def untold(self) -> bool:
        """Nobody told of it before it was read."""
        return self.untold_ns is not None

    def contradicts(self, codes: tuple[str, ...]) -> bool:
        """A lap before it had codes, and none of them is among these."""
        return bool(self.known and codes) and not set(self.known) & set(codes)


def _expected(one: Pass) -> int:
    return one.expected_ns


class Passes:
    """The passes to come and those just gone, in the order of the belt."""

    def __init__(self, tracking: Tracking) -> None:
        self.order: list[Pass] = []
        self.of_item: dict[int, Pass] = {}
        self._window_ns = tracking.window_ns
        self._lap_ns = tracking.lap_ns

    def add(self, one: Pass) -> None:
        insort(self.order, one, key=_expected)
        self.of_item[one.item] = one

    def near(self, t_ns: int) -> list[Pass]:
        """Those whose window holds `t_ns`."""
        first = bisect_left(self.order, t_ns - self._window_ns, key=_expected)
        last = bisect_right(self.order, t_ns + self._window_ns, key=_expected)
        return self.order[first:last]

    def until(self, limit_ns: int) -> list[Pass]:
        """Those not decided that are expected no later."""
        last = bisect_right(self.order, limit_ns, key=_expected)
        return [one for one in self.order[:last] if one.fate is None]

    def forget(self, before_ns: int) -> None:
        """Let go of those expected before; all of them are decided."""
        last = bisect_left(self.order, before_ns, key=_expected)
        for one in self.order[:last]:
            self._unname(one)
        del self.order[:last]

    def left(self, item: int, t_ns: int) -> None:
        """The item dropped at `t_ns`: it comes by no more."""
        one = self.of_item.get(item)
        if one is None or one.fate is not None:
            return
        if one.expected_ns - self._window_ns <= t_ns:
            one.gone = True  # it may have been read before it dropped: nobody else shall have that reading
            return
        del self.order[self.order.index(one, bisect_left(self.order, one.expected_ns, key=_expected))]
        self._unname(one)

    def finish(self, one: Pass, fate: Fate, read_ns: int, codes: tuple[str, ...] = ()) -> None:
        """It has come by. On a loop it comes again, a lap after it was read or expected."""
        one.fate = fate
        lost = one.untold and fate is not Fate.PAIRED  # a number that nobody told of may be none
        if self._lap_ns and not one.gone and not lost and one.lap < limits.LAPS_MAX and fate is not Fate.REUSED:
            again_ns = read_ns + self._lap_ns
            self.add(Pass(one.item, again_ns, one.lap + 1, codes or one.known, untold_ns=one.untold_ns))

    def doubt(self, why: Fate) -> None:
        """None of those under way gets codes."""
        for one in self.order:
            if one.fate is None and one.doubt is None:
                one.doubt = why

    def shift(self, by_ns: int) -> None:
        """The clock was set by so much."""
        for one in self.order:
            one.expected_ns += by_ns

    def _unname(self, one: Pass) -> None:
        if self.of_item.get(one.item) is one:
            del self.of_item[one.item]
