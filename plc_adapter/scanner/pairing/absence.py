"""What a start of the adapter costs is told in sums, of items and of readings; not once for each.

Items that the PLC counted before, and readings of parcels that it told another adapter of, find no partner
in any case: what the fates advise (the PLC link, travel_ms) is not their cause. Readings are told soon as well as
at the end, for a PLC that reports no items looks the same until then.
"""

from collections import Counter
from typing import Final

from plc_adapter.scanner.pairing.fate import Fate
from plc_adapter.scanner.pairing.tracking import NS_PER_MS, QUIET_WINDOWS, Tracking

CALM_NS: Final = 1000 * NS_PER_MS  # nothing more came for so long: it may be told
ITEMS: Final = "{} items came while the adapter was away, or as it started; they get no codes"
READINGS: Final = (
    "{} readings as the adapter started were of no item that it was told of; "
    "if it goes on beyond {}, see whether the PLC reports items"
)
_SENTENCES: Final = {Fate.SILENT: ITEMS, Fate.TOLD_LATE: ITEMS, Fate.SLIPPED: ITEMS, Fate.STRAY: READINGS}


class Absence:
    """Counts what is of a time when the adapter was away."""

    def __init__(self, tracking: Tracking) -> None:
        quiet_ns = QUIET_WINDOWS * tracking.window_ns
        self._lasts_ns = {
            ITEMS: tracking.travel_ns + quiet_ns,
            READINGS: max(tracking.travel_ns, tracking.lap_ns) + quiet_ns,  # on a loop all come by within a lap
        }
        self._until_ns: dict[str, int] = {}
        self._pass = "one lap" if tracking.lap_ms else "one travel"  # all that was on the way comes by in it
        self._counts: Counter[str] = Counter()
        self._first_ns = self._latest_ns = -1  # of the readings; of all
        self._told = 0  # of the readings, those of the running sum

    def ended(self, now_ns: int) -> None:
        """The adapter has started, and met the PLC."""
        self._until_ns = {sentence: now_ns + lasts_ns for sentence, lasts_ns in self._lasts_ns.items()}
        self._told = 0

    def forget(self) -> None:
        """The clock went back: the times that were noted mean nothing any more."""
        self._until_ns.clear()

    def explains(self, fate: Fate, t_ns: int, now_ns: int) -> bool:
        """Whether an item expected, or a reading, at `t_ns` came to this by the absence; it is counted then."""
        sentence = _SENTENCES.get(fate)
        if sentence is None or t_ns > self._until_ns.get(sentence, -1):
            return False
        if sentence == READINGS and not self._counts[READINGS]:
            self._first_ns = now_ns
        self._counts[sentence] += 1
        self._latest_ns = now_ns
        return True

    def due(self, now_ns: int) -> list[str]:
        """What is to be told by now."""
        told = []
        readings = self._counts[READINGS]
        if readings and not self._told and abs(now_ns - self._first_ns) >= CALM_NS:
            self._told = readings
            told.append(READINGS.format(readings, self._pass))
        if abs(now_ns - self._latest_ns) < CALM_NS:
            return told
        for sentence in [one for one in self._counts if now_ns > self._until_ns.get(one, -1)]:
            count = self._counts.pop(sentence)
            if sentence == ITEMS or count > self._told:
                told.append(sentence.format(count, self._pass))
        return told
