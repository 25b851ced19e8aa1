"""By id, a reading goes to the item whose number it carries, and only at the time when that item is expected.

For one lap after it came into doubt what is on the belt, a whole number is expected elsewhere as well: after
a restart of the PLC at the reader, where it meets and counts what it has forgotten; after a start of the
adapter, or when reports are missing, wherever it is read, though the PLC did not tell of it.
A restart makes every number another parcel's: what was at the reader before it was noticed, and a little
later, is nobody's, whatever number it carries.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from plc_adapter.mailbox import SILENT_NS
from plc_adapter.scanner.pairing.either_way import READINGS_MAX, Pairing
from plc_adapter.scanner.pairing.fate import Fate, Paired
from plc_adapter.scanner.pairing.passes import Pass
from plc_adapter.scanner.pairing.tracking import Tracking
from plc_adapter.scanner.tunnel import Merged
from sorter import limits

HEAD_WINDOWS: Final = 2  # times merge_ms: so long a tunnel knows a parcel that a slow head may speak of


class ById(Pairing):
    """Readings carry the number that the PLC gave the reader; time has to agree. Decided at once.

    No number outlives a start of the PLC. `_slack_ns` is how far behind a moment a reading may seem that was
    before it: a window, what the slowest head may add, and as long as a side may be silent and not be dead.
    """

    def __init__(self, tracking: Tracking, merge_ns: int) -> None:
        super().__init__(tracking, merge_ns)
        self._mask = tracking.id_mask
        self._doubt_ns = max(tracking.travel_ns, tracking.lap_ns) + self._wait_ns  # then all on the belt have come by
        self._slack_ns = SILENT_NS + tracking.window_ns + HEAD_WINDOWS * merge_ns
        self._start_ns = -1  # readings of parcels that were at the reader until then are nobody's
        self._doubted_ns = -1  # until then the PLC may count items at the reader
        self._believed_ns = -1  # until then a number that it did not tell of is taken at its word,
        self._unbelieved_ns = -1  # but not of a parcel that was at the reader before this
        self._held: deque[tuple[int, Merged]] = deque()  # (when at the reader, what), until the PLC has counted it

    def read(self, merged: Merged, now_ns: int) -> list[Paired]:
        """A parcel was read; the items that are decided by now."""
        out = self.due(now_ns)
        t_ns = merged.t_ns - self._delay_ns
        if merged.id is None:
            self._note(Fate.STRAY, t_ns, text='a reading without id; let the reader send it, or write by = "order"')
            return out
        if t_ns <= self._start_ns:
            self._note(Fate.BEFORE_START, t_ns)
            return out
        return out + self._find(merged, t_ns, now_ns)

    def _find(self, merged: Merged, t_ns: int, now_ns: int) -> list[Paired]:
        assert merged.id is not None
        named = [one for one in self._passes.near(t_ns) if one.item & self._mask == merged.id and not one.gone]
        if not named and self._mask == limits.ITEM_NUMBER_MAX and now_ns <= self._doubted_ns:
            named = self._untold(merged.id, t_ns, now_ns)
            if not named and merged.id not in self._passes.of_item and len(self._held) < READINGS_MAX:
                self._held.append((t_ns, merged))
                return []
        fate = self._fate(named, merged)
        if fate is Fate.PAIRED:
            return [self._pair(named[0], merged, t_ns)]
        if fate not in (Fate.AMBIGUOUS, Fate.CONTRADICTED):
            self._note(fate, t_ns, named[0].item if named else None)
            return []
        return [self._refuse(one, fate) for one in named if one.fate is None]

    def entered(self, item: int, t_ns: int, now_ns: int) -> list[Paired]:
        """The PLC counted an item at `t_ns`, perhaps at the reader, which was faster to tell of it."""
        out = super().entered(item, t_ns, now_ns)
        held = [one for one in self._held if one[1].id == item]
        for one in held:
            self._held.remove(one)
            out += self._find(one[1], one[0], now_ns)
        return out

    def began(self, now_ns: int, *, again: bool) -> None:
        """Numbers of before mean nothing. What an adapter finds at its own start the PLC will not tell of again."""
        super().began(now_ns, again=again)
        self._start_ns = now_ns + self._slack_ns
        self._doubt(now_ns, believe=not again)

    def missed(self, now_ns: int) -> None:
        """The PLC's word of an item may have been lost."""
        self._doubt(now_ns, believe=True)

    def _doubt(self, now_ns: int, *, believe: bool) -> None:
        self.distrust(now_ns)
        self._doubted_ns = now_ns + self._doubt_ns
        if believe:
            self._believed_ns = self._doubted_ns

    def due(self, now_ns: int) -> list[Paired]:
        """The items that are decided by now."""
        self._pass_time(now_ns)
        limit_ns = now_ns - self._wait_ns
        out = []
        for one in self._passes.until(limit_ns):
            if one.gone:
                self._passes.finish(one, Fate.SILENT, one.expected_ns)
            else:
                out.append(self._refuse(one, one.doubt or Fate.SILENT))
        self._passes.forget(limit_ns - 2 * self._window_ns)
        while self._held and self._held[0][0] < limit_ns - self._slack_ns:
            self._note(Fate.STRAY, self._held.popleft()[0])
        return out

    def _fate(self, named: list[Pass], merged: Merged) -> Fate:
        if not named:
            known = any(one.item & self._mask == merged.id for one in self._passes.order)
            return Fate.OUTSIDE if known else Fate.STRAY
        if len(named) > 1:
            return Fate.AMBIGUOUS
        if named[0].fate is not None:
            return Fate.REPEATED if named[0].fate is Fate.PAIRED else Fate.OUTSIDE
        if named[0].doubt is not None:
            return Fate.AMBIGUOUS
        return Fate.CONTRADICTED if named[0].contradicts(merged.codes) else Fate.PAIRED

    def _untold(self, number: int, t_ns: int, now_ns: int) -> list[Pass]:
        """The item of a number that is not expected now, in a time of doubt; none when it is elsewhere.

        A PLC that has started again meets the items on the belt at the reader, and counts them there.
        """
        one = self._passes.of_item.get(number)
        if one is None:
            believed = now_ns <= self._believed_ns and t_ns > self._unbelieved_ns
            if not believed or len(self._passes.order) >= limits.ITEMS_ON_BELT_MAX:
                return []
            one = Pass(number, t_ns, untold_ns=t_ns)
            self._passes.add(one)
        elif one.lap == 0 and one.fate is None and abs(one.expected_ns - self._travel_ns - t_ns) <= self._window_ns:
            one.untold_ns = t_ns
        else:
            return []
        self._note(Fate.UNTOLD, t_ns, number)
        return [one]

    def _turn_back(self) -> None:
        assert self._now_ns is not None
        self._start_ns = min(self._start_ns, self._now_ns + self._slack_ns)
        self._doubted_ns = self._believed_ns = -1
        while self._held:
            self._note(Fate.STRAY, self._held.popleft()[0])

    def _distrust(self, why: Fate, now_ns: int) -> None:
        """What comes now may have waited: it is not taken at its word. Nobody loses codes that agree by number."""
        del why
        self._unbelieved_ns = now_ns + self._slack_ns
