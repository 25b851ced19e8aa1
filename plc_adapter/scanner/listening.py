"""What an engineer sees of a reader: each telegram as it came, beside what was understood of it.

This is for a screen, not for a log: it shows codes.
"""

from typing import NamedTuple

from plc_adapter.scanner.settings import Scanner
from plc_adapter.scanner.telegram import Heartbeat, Nonsense, Reading, read


class Heard(NamedTuple):
    """A telegram for the screen."""

    raw: str  # as it came, unprintable bytes escaped
    meaning: str
    answer: bytes | None  # what the reader expects back; b"": nothing; None: it was not understood


def heard(telegram: bytes, scanner: Scanner) -> Heard:
    """What a whole telegram of this reader looks like and means."""
    said = read(telegram, scanner)
    return Heard(repr(telegram)[2:-1], _meaning(said), _answer(said, scanner))


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
    if said.id is not None:
        parts.append(f"parcel {said.id}")
    if said.surplus:
        parts.append(f"{said.surplus} codes more than a scan holds")
    if said.garbled:
        parts.append("in no known encoding")
    return "; ".join(parts)
