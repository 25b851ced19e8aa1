"""A stream of bytes becomes whole telegrams: the same ones however the network cut or joined the segments.

What is no telegram is dropped and counted, never guessed: bytes before a start, a telegram that
was cut off, one longer than TELEGRAM_BYTES_MAX. Afterwards the next whole telegram counts again.
No telegram is handed on late: what came before a resync is gone.
"""

import re
from abc import ABC, abstractmethod
from typing import Final, Literal

TELEGRAM_BYTES_MAX: Final = 4096
BLANKS: Final = b" \t\r\n\0,[]"  # between telegrams: lines, lists, and terminators that nobody needs

Kind = Literal["stx_etx", "cr", "lf", "crlf", "nul", "json", "idle", "custom"]
"""How a reader closes a telegram.

`cr` takes CR and CRLF, `lf` takes LF and CRLF, `crlf` needs both. `json` is one object after
another with nothing between. `idle` is whatever came before a silence: only for a reader that
cannot be told to close its telegrams, since two in one segment are one and one in two segments
with a long pause are two. `custom` takes the site's own start ("" = none) and end.
"""

_ENDS: Final[dict[str, tuple[bytes, bytes]]] = {
    "stx_etx": (b"\x02", b"\x03"),
    "cr": (b"", b"\r"),
    "lf": (b"", b"\n"),
    "crlf": (b"", b"\r\n"),
    "nul": (b"", b"\0"),
}


class Framer(ABC):
    """One connection's stream. Keeps at most TELEGRAM_BYTES_MAX bytes and a partial end between calls."""

    def __init__(self) -> None:
        self.dropped_bytes = 0  # that belong to no telegram
        self.resyncs = 0  # telegrams given up: cut off, too long or broken
        self._buffer = bytearray()

    @property
    def standing(self) -> bytes:
        """What has come of a telegram that has no end yet."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The telegrams that are whole with these bytes, without their start and end, in order."""
        telegrams: list[bytes] = []
        for at in range(0, len(data), TELEGRAM_BYTES_MAX):
            self._buffer += data[at : at + TELEGRAM_BYTES_MAX]
            self._take(telegrams)
        return telegrams

    def idle(self) -> list[bytes]:
        """The reader has been silent for `idle_ms`: ends a telegram of kind `idle`, and none of another kind.

        TCP may hold a segment back longer than that, and half a code can be another parcel's.
        """
        return []

    def give_up(self) -> None:
        """Drop what stands unfinished: the reader has been silent far too long, or is gone."""
        if self._buffer:
            self.resyncs += 1
            self._drop(len(self._buffer))

    @abstractmethod
    def _take(self, telegrams: list[bytes]) -> None:
        """Move what is whole from the buffer to `telegrams`."""

    def _drop(self, count: int) -> None:
        if count > 0:
            self.dropped_bytes += count
            del self._buffer[:count]


def end_of(kind: Kind, end: bytes = b"") -> bytes:
    """What closes a telegram, where something does; `end` is that of kind `custom`."""
    return _ENDS.get(kind, (b"", end))[1]


def framer(kind: Kind, start: bytes = b"", end: bytes = b"") -> Framer:
    """The framer of one connection; `start` and `end` are those of kind `custom`.

    Raises ValueError when these two cannot close a telegram.
    """
    if kind == "json":
        return _Objects()
    if kind == "idle":
        return _Silences()
    return _Delimited(kind, *(_ENDS.get(kind) or (start, end)))


class _Delimited(Framer):
    """Telegrams between a start and an end; or each up to an end, where there is no start."""

    def __init__(self, kind: Kind, start: bytes, end: bytes) -> None:
        super().__init__()
        if not end:
            raise ValueError("a telegram needs an end")
        if set(start) & set(end):
            raise ValueError("start and end share a byte")
        self._kind = kind
        self._start = start
        self._end = end
        self._outside = bool(start)  # no telegram has begun
        self._too_long = False  # inside a telegram without start that is being dropped
        self._after_cr = False

    def give_up(self) -> None:
        super().give_up()
        self._outside, self._too_long = bool(self._start), False

    def _take(self, telegrams: list[bytes]) -> None:
        while self._buffer:
            if self._after_cr:
                self._after_cr = False
                if self._buffer[:1] == b"\n":
                    del self._buffer[:1]
            if self._outside and not self._begin():
                return
            end = self._buffer.find(self._end)
            cut = self._buffer.find(self._start) if self._start else -1
            if cut >= 0 and (end < 0 or cut < end):
                self.resyncs += 1
                self._drop(cut)
                self._outside = True
            elif end < 0:
                self._overflow()
                return
            else:
                self._close(end, telegrams)

    def _begin(self) -> bool:
        """Drop what stands before a start, and the start; False when none has come whole."""
        at = self._buffer.find(self._start)
        if at < 0:
            self._drop(len(self._buffer) - len(self._start) + 1)
            return False
        self._drop(at)
        del self._buffer[: len(self._start)]
        self._outside = False
        return True

    def _close(self, end: int, telegrams: list[bytes]) -> None:
        if self._too_long or end > TELEGRAM_BYTES_MAX:
            self.resyncs += not self._too_long
            self._drop(end)
            if self._start:  # its end is garbage before the next start, as when it comes in a later segment
                self._outside = True
                return
        else:
            body = bytes(self._buffer[:end])
            del self._buffer[:end]
            telegrams.append(body.removesuffix(b"\r") if self._kind == "lf" else body)
        del self._buffer[: len(self._end)]
        self._too_long = False
        self._outside = bool(self._start)
        self._after_cr = self._kind == "cr"

    def _overflow(self) -> None:
        """Without an end in sight, keep what may still become a telegram, or begin one."""
        body = len(self._buffer) - len(self._end) + 1
        if not self._too_long:
            if body <= TELEGRAM_BYTES_MAX:
                return
            self.resyncs += 1
        if self._start:
            self._outside = True
            self._drop(len(self._buffer) - len(self._start) + 1)
        else:
            self._too_long = True
            self._drop(body)


class _Objects(Framer):
    """JSON objects one after another: braces are counted outside of texts."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._in_text = False
        self._at = 0  # looked at so far
        self._too_long = False  # inside an object that is being dropped

    def idle(self) -> list[bytes]:
        if self._too_long:
            self._drop(len(self._buffer))
            self._outside()
        return []

    def give_up(self) -> None:
        super().give_up()
        self._outside()

    def _outside(self) -> None:
        self._depth = self._at = 0
        self._in_text = self._too_long = False

    def _take(self, telegrams: list[bytes]) -> None:
        while self._buffer:
            if not self._depth and not self._begin():
                return
            token = (_IN_TEXT if self._in_text else _IN_OBJECT).search(self._buffer, self._at)
            if token is None:
                self._at = len(self._buffer)
                break
            if token[0] == b"\\" and token.end() == len(self._buffer):
                self._at = token.start()
                break
            self._at = token.end()
            self._step(token[0], telegrams)
        if self._depth and len(self._buffer) > TELEGRAM_BYTES_MAX:
            self.resyncs += not self._too_long
            self._too_long = True
        if self._too_long:
            self._drop(self._at)
            self._at = 0

    def _begin(self) -> bool:
        at = self._buffer.find(b"{")
        before = bytes(self._buffer if at < 0 else self._buffer[:at])
        self.dropped_bytes += len(before.translate(None, BLANKS))
        del self._buffer[: len(before)]
        if at < 0:
            return False
        self._depth = self._at = 1
        return True

    def _step(self, token: bytes, telegrams: list[bytes]) -> None:
        if token == b'"':
            self._in_text = not self._in_text
        elif token == b"\\":
            self._at += 1
        elif token == b"{":
            self._depth += 1
        elif token == b"}":
            self._depth -= 1
            if not self._depth:
                self._close(telegrams)
        else:  # no text of JSON holds a control character: a quote was lost or made up
            self.resyncs += not self._too_long
            self._drop(self._at)
            self._outside()

    def _close(self, telegrams: list[bytes]) -> None:
        if self._too_long or self._at > TELEGRAM_BYTES_MAX:
            self.resyncs += not self._too_long
            self._drop(self._at)
        else:
            telegrams.append(bytes(self._buffer[: self._at]))
            del self._buffer[: self._at]
        self._outside()


class _Silences(Framer):
    """A telegram is what comes between two silences."""

    def __init__(self) -> None:
        super().__init__()
        self._too_long = False

    def idle(self) -> list[bytes]:
        telegram = bytes(self._buffer)
        self._buffer.clear()
        self._too_long = False
        return [telegram] if telegram else []

    def give_up(self) -> None:
        super().give_up()
        self._too_long = False

    def _take(self, telegrams: list[bytes]) -> None:
        del telegrams  # only silence ends one
        if len(self._buffer) > TELEGRAM_BYTES_MAX and not self._too_long:
            self.resyncs += 1
            self._too_long = True
        if self._too_long:
            self._drop(len(self._buffer))


_IN_TEXT: Final = re.compile(rb'["\\\x00-\x1f]')
_IN_OBJECT: Final = re.compile(rb'["{}]')
