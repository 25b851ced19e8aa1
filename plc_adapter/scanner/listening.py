"""What an engineer sees of a reader: all that came, beside what was understood of it.

This is for a screen, not for a log: it shows codes.
"""

from typing import Final, NamedTuple

from plc_adapter.scanner.settings import Scanner
from plc_adapter.scanner.telegram import Heartbeat, Nonsense, Reading, Units, read
from plc_adapter.scanner.unended import Unended

UNENDED_S: Final = 1.0  # without an end of telegram, and what came is shown all the same
SHOWN_BYTES_MAX: Final = 200  # of what has no end


class Heard(NamedTuple):
    """A telegram for the screen."""

    raw: str  # as it came with its frame, unprintable bytes escaped
    meaning: str
    answer: bytes | None  # what the reader expects back; b"": nothing; None: it was not understood


def heard(telegram: bytes, scanner: Scanner, raw: bytes, units: Units) -> Heard:
    """What a whole telegram of this reader, of which `raw` came, looks like and means."""
    said = read(telegram, scanner, units)
    return Heard(_escaped(raw), _meaning(said), _answer(said, scanner))


def unended(came: Unended, now_s: float) -> Heard | None:
    """What came and has been waiting for its end for too long, told once; None: nothing."""
    if came.waited_s(now_s) < UNENDED_S:
        return None
    dots = "…" if came.count > SHOWN_BYTES_MAX else ""
    told = Heard(_escaped(came.begins[:SHOWN_BYTES_MAX]) + dots, came.words, None)
    came.forget()
    return told


def _escaped(data: bytes) -> str:
    return repr(data)[2:-1]


def _answer(said: Reading | Heartbeat | Nonsense, scanner: Scanner) -> bytes | None:
    if isinstance(said, Nonsense):
        return None
    return scanner.heartbeat_reply.encode() if isinstance(said, Heartbeat) else b""


def _meaning(said: Reading | Heartbeat | Nonsense) -> str:
    if isinstance(said, Nonsense):
        return f"not understood: {said.words}"
    if isinstance(said, Heartbeat):
        return "it is alive; no parcel"
    parts = [", ".join(said.codes) or ("a parcel, and no code read" if said.unread else "no code")]
    if said.weight_g:
        parts.append(f"{said.weight_g} g")
    if said.size_mm:
        parts.append(" x ".join(map(str, said.size_mm)) + " mm")
    if said.unmeasured:
        parts.append(said.unmeasured)
    if said.id is not None:
        parts.append(f"parcel {said.id}")
    if said.surplus:
        parts.append(f"{said.surplus} codes more than a scan holds")
    if said.garbled:
        parts.append("in no known encoding")
    return "; ".join(parts)
