"""Telegrams of several heads around one tunnel become one reading of one parcel. Time is an argument.

A telegram goes to the only parcel that can own it. One that could belong to two, or that comes
when its parcel is closed, is told as `late` and goes to none.

A parcel is open from its first telegram until every head has spoken, or until the window has
passed. Telegrams that carry an id belong to that id alone. Those without one are known by time:
each head speaks once of a parcel, so a head that speaks again speaks of the next. Then the two
come closer than the window, and what other heads said or say may be either's: only the words of
the head that spoke twice are kept. No telegram without id goes to a wrong parcel as long as it comes
less than two windows after the first of its parcel, and the next parcel comes no sooner than that or
when every head has spoken.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from plc_adapter.scanner.telegram import Reading
from sorter import limits

OPEN_MAX: Final = 64  # parcels in a tunnel; more is a flood, and the oldest is closed
CLOSED_MAX: Final = 64  # parcels remembered for what comes late
LATE_MAX: Final = 256  # late telegrams kept until somebody looks


class Merged(NamedTuple):
    """What all heads read of one parcel."""

    codes: tuple[str, ...]  # in the order of the heads, each once
    unread: bool  # every head said so
    weight_g: int  # 0: not measured
    size_mm: tuple[int, int, int] | None  # None: not measured
    id: int | None  # what the PLC gave the reader
    t_ns: int  # when the first of its telegrams came


class Late(NamedTuple):
    """A telegram that was given to no parcel. Its codes are data: no log may carry them."""

    t_ns: int
    head: str
    codes: tuple[str, ...]
    id: int | None

    @property
    def text(self) -> str:
        """For the log: what happened and what to do."""
        of = "" if self.id is None else f" of parcel {self.id}"
        return (
            f"head {self.head}: a telegram{of} with {len(self.codes)} codes came too late or fits two parcels, "
            "and was given to none; lengthen merge_ms if the head is slow, shorten it if parcels come closer"
        )


@dataclass(slots=True, eq=False)
class _Parcel:
    start_ns: int
    id: int | None
    telegrams: dict[str, list[Reading]] = field(default_factory=dict)  # by head

    def lacks(self, head: str) -> bool:
        return head not in self.telegrams


class Tunnel:
    """Telegrams in, merged readings out. Call `due` at `next_ns`, or whenever convenient after it."""

    def __init__(self, heads: Sequence[str], window_ns: int) -> None:
        """Heads in the order in which their codes are to stand. Raises ValueError: none, doubled, no window."""
        if not heads or len(set(heads)) < len(heads):
            raise ValueError(f"heads: {list(heads)} must be at least one name, and each once")
        if window_ns <= 0:
            raise ValueError(f"window: {window_ns} ns is none; heads of one tunnel are some ten milliseconds apart")
        self.counts: Counter[str] = Counter()  # merged, late, crowded, cut (codes), flooded
        self.late: deque[Late] = deque(maxlen=LATE_MAX)
        self._heads = tuple(heads)
        self._window_ns = window_ns
        self._open: list[_Parcel] = []  # in the order of their first telegram
        self._closed: deque[_Parcel] = deque(maxlen=CLOSED_MAX)  # less than two windows old

    def read(self, head: str, reading: Reading, t_ns: int) -> list[Merged]:
        """A head's telegram came; the parcels that are closed by it. Raises ValueError: no such head."""
        if head not in self._heads:
            raise ValueError(f"there is no head {head}; heads are {', '.join(self._heads)}")
        done = self.due(t_ns)
        owners = self._owners(head, reading.id)
        if not owners:
            done += self._crowd(head) if reading.id is None else []
            done += self._flood()
            parcel = _Parcel(t_ns, reading.id)
            self._open.append(parcel)
        elif len(owners) > 1 or owners[0] not in self._open:
            self._miss(head, reading, t_ns)
            return done
        else:
            parcel = owners[0]
        parcel.telegrams.setdefault(head, []).append(reading)
        parcel.id = reading.id if parcel.id is None else parcel.id
        if len(parcel.telegrams) == len(self._heads):
            done.append(self._close(parcel))
        return done

    def due(self, now_ns: int) -> list[Merged]:
        """The parcels whose window has passed."""
        self._closed = deque((one for one in self._closed if self._age(one, now_ns) < 2 * self._window_ns), CLOSED_MAX)
        over = [parcel for parcel in self._open if self._age(parcel, now_ns) >= self._window_ns]
        return [self._close(parcel) for parcel in over]

    def next_ns(self) -> int | None:
        """When `due` has something to give; None: nothing is open."""
        return self._open[0].start_ns + self._window_ns if self._open else None

    def _age(self, parcel: _Parcel, now_ns: int) -> int:
        age_ns = now_ns - parcel.start_ns
        return age_ns if age_ns >= 0 else 2 * self._window_ns  # the clock went back: nothing is left to wait for

    def _owners(self, head: str, number: int | None) -> list[_Parcel]:
        """The parcels that this telegram may belong to; none: it is the first of its parcel."""
        known = [*self._closed, *self._open]
        if number is None:
            return [parcel for parcel in known if parcel.lacks(head)]
        same = [parcel for parcel in known if parcel.id == number]
        if same:
            return same[-1:]
        nameless = [parcel for parcel in known if parcel.id is None and parcel.lacks(head)]
        return nameless if len(nameless) == 1 and nameless[0] in self._open else []

    def _crowd(self, head: str) -> list[Merged]:
        """The head speaks of the next parcel while one is open: close that one, with its own words alone."""
        crowded = [parcel for parcel in self._open if parcel.id is None]
        for parcel in crowded:
            self.counts["crowded"] += 1
            for other in [name for name in parcel.telegrams if name != head]:
                for reading in parcel.telegrams.pop(other):
                    self._miss(other, reading, parcel.start_ns)
        return [self._close(parcel) for parcel in crowded]

    def _flood(self) -> list[Merged]:
        if len(self._open) < OPEN_MAX:
            return []
        self.counts["flooded"] += 1
        return [self._close(self._open[0])]

    def _miss(self, head: str, reading: Reading, t_ns: int) -> None:
        self.counts["late"] += 1
        self.late.append(Late(t_ns, head, reading.codes, reading.id))

    def _close(self, parcel: _Parcel) -> Merged:
        self._open.remove(parcel)
        self._closed.append(parcel)
        self.counts["merged"] += 1
        said = [reading for head in self._heads for reading in parcel.telegrams.get(head, [])]
        codes = tuple(dict.fromkeys(code for reading in said for code in reading.codes))
        self.counts["cut"] += max(len(codes) - limits.CODES_PER_SCAN_MAX, 0)
        return Merged(
            codes=codes[: limits.CODES_PER_SCAN_MAX],
            unread=all(reading.unread for reading in said),
            weight_g=next((reading.weight_g for reading in said if reading.weight_g), 0),
            size_mm=next((reading.size_mm for reading in said if reading.size_mm), None),
            id=parcel.id,
            t_ns=parcel.start_ns,
        )
