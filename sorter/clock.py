"""The only clock: site time in nanoseconds since 1970, real or scaled from one anchor.

Every process of a demo is given the same text, so all of them live in the same day. Site time
never goes back, also when the machine's clock is set back.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

NS_PER_S: Final = 1_000_000_000
_SHAPE: Final = (
    '"2026-11-11T05:00:00+08:00,640,1794344400000000000" (start, times as fast, real nanoseconds at the start)'
)


class BadClock(ValueError):
    """A text that names no clock; it says the form that is expected."""


@dataclass(slots=True)
class Clock:
    """Site time = start_ns + (real time - anchor_ns) * rate; with no start, real time itself."""

    start_ns: int = 0
    rate: float = 1.0
    anchor_ns: int = 0
    _behind_ns: int = field(default_factory=lambda: time.time_ns() - time.monotonic_ns(), repr=False)

    @classmethod
    def from_text(cls, text: str) -> "Clock":
        """The clock that `--clock TEXT` names; the empty text is real time.

        Raises BadClock.
        """
        if not text:
            return cls()
        try:
            start, rate, anchor = text.split(",")
            moment = datetime.fromisoformat(start)
            clock = cls(round(moment.timestamp()) * NS_PER_S, float(rate), int(anchor))
        except ValueError as error:
            raise BadClock(f'"{text}" is not a clock ({error}); write {_SHAPE}') from error
        if moment.tzinfo is None or not clock.rate > 0:
            raise BadClock(f'"{text}" needs an offset from UTC and a rate above 0; write {_SHAPE}')
        return clock

    def now_ns(self) -> int:
        """Site time."""
        real_ns = time.monotonic_ns() + self._behind_ns
        return self.start_ns + round((real_ns - self.anchor_ns) * self.rate)

    def real_s(self, site_ns: int) -> float:
        """How many real seconds a span of site time takes."""
        return site_ns / self.rate / NS_PER_S


def local(t_ns: int, offset_ns: int) -> str:
    """Site time as a local date and time to the second."""
    return f"{datetime.fromtimestamp(t_ns / 1e9, UTC) + timedelta(seconds=offset_ns / 1e9):%Y-%m-%d %H:%M:%S}"
