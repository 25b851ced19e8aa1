"""Bytes that came and ended no telegram are kept up to a bound, and told with the framing that they look like.

Nothing is understood from them: only an engineer, who knows the reader, may set another framing.
"""

import re
from functools import lru_cache
from typing import Final

from plc_adapter.scanner.framing import BLANKS, TELEGRAM_BYTES_MAX, Kind, framer

KEPT_BYTES_MAX: Final = 2 * TELEGRAM_BYTES_MAX
GUESSED_BYTES_MAX: Final = 1 << 10  # so much shows a framing; it costs a look little, and stays the same as more comes
GUESSED: Final[tuple[Kind, ...]] = ("stx_etx", "json", "crlf", "cr", "lf", "nul")
"""The stricter before those that would take its telegrams as well."""


@lru_cache(maxsize=16)  # what waits is looked at again and again
def guess(data: bytes) -> Kind | None:
    """The framing by which whole telegrams stand in these bytes, each of them text; None: by no usual one."""
    for kind in GUESSED:
        telegrams = [telegram for telegram in framer(kind).feed(data) if telegram.strip()]
        if telegrams and not any(map(_BINARY.search, telegrams)):
            return kind
    return None


class Unended:
    """What has come by one connection since its last whole telegram. Times are s of any one clock."""

    def __init__(self, kind: Kind, end: bytes = b"", start: bytes = b"") -> None:
        """`kind` is the framing that is set, `end` what closes its telegrams; `start` is that of kind `custom`."""
        self.count = 0  # bytes
        self.last = b""  # the last whole telegram as it came, with its frame and what stood before it
        self._kind = kind
        self._end = end
        self._start = _STARTS.get(kind, start)
        self._kept = bytearray()
        self._at = 0  # where in it the next telegram begins
        self._came_s = 0.0
        self._since_s: float | None = None  # the first byte that means something

    @property
    def begins(self) -> bytes:
        """The first of the bytes, at most KEPT_BYTES_MAX."""
        return bytes(self._kept[self._at :])

    @property
    def looks_like(self) -> Kind | None:
        """The framing that the first GUESSED_BYTES_MAX are of; None: none that is usual."""
        return guess(self.begins[:GUESSED_BYTES_MAX])

    @property
    def words(self) -> str:
        """What is wrong and what to write; it shows no byte, and so is fit for a log."""
        told, kind = f'{self.count} bytes and no end of framing "{self._kind}"', self.looks_like
        if kind is None and self._broke_off:
            return f"{told}; a telegram broke off: check the reader and its cable"
        if kind is None:
            return f'{told}; have the reader end a telegram with CR, or write framing = "custom" and its end'
        return told if kind == self._kind else f'{told}; they look like framing = "{kind}"'

    @property
    def _broke_off(self) -> bool:
        """Whether the framing that is set is the reader's: it has ended a telegram before, or one has begun."""
        begun = bool(self._start) and self.begins.lstrip(BLANKS).startswith(self._start)
        return begun or bool(self.last.strip(BLANKS))

    def waited_s(self, now_s: float) -> float:
        """How long they have been waiting for an end; 0 where there are none but blanks."""
        return 0.0 if self._since_s is None else now_s - self._since_s

    def came(self, data: bytes, now_s: float) -> None:
        """Take what came, before its telegrams are told as ended."""
        del self._kept[: self._at]
        self._at = 0
        self.count += len(data)
        self._kept += data[: KEPT_BYTES_MAX - len(self._kept)]
        self._came_s = now_s
        if self._since_s is None and data.strip(BLANKS):
            self._since_s = now_s

    def ended(self, telegram: bytes) -> None:
        """The next telegram is whole: what came after it remains."""
        kept, at = self._kept, self._kept.find(telegram, self._at)
        end = at + len(telegram) if at >= 0 else len(kept)
        end += len(self._end) * kept.startswith(self._end, end)
        while kept.startswith(_LINE_ENDS, end):
            end += 1
        self.last = bytes(kept[self._at : end]) if at >= 0 else telegram  # its beginning may not have been kept
        self._at = end
        self.count = len(kept) - end
        self._since_s = self._came_s if _MEANS.search(kept, end) else None

    def forget(self) -> None:
        """They have been told."""
        self._kept.clear()
        self._at = self.count = 0
        self._since_s = None


_STARTS: Final[dict[Kind, bytes]] = {"stx_etx": b"\x02", "json": b"{"}
_LINE_ENDS: Final = (b"\r", b"\n", b"\0")
_MEANS: Final = re.compile(b"[^" + re.escape(BLANKS) + b"]")
_BINARY: Final = re.compile(rb"[\x00\x01\x04-\x08\x0b\x0c\x0e-\x17\x19\x1a\x1c\x1e\x1f]")
"""Control characters that stand in no reader's text; STX, ETX, tab, CR, LF, CAN, ESC and GS do."""
