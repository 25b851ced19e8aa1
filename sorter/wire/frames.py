"""The messages and their bytes: what arrives is a list of whole messages or one `Malformed`, nothing between.

A frame is one msgpack map with the key `type`, or an array of such maps; unknown keys are
ignored. Nothing here knows a socket, a plan or a clock.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from sorter import limits
from sorter.reasons import Alarm as AlarmCode
from sorter.records import Role

INT64_MAX: Final = (1 << 63) - 1

Number = Annotated[int, Meta(ge=1, le=INT64_MAX)]
TimeNs = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Boot = Annotated[int, Meta(ge=0)]
ItemNumber = Annotated[int, Meta(ge=0, le=limits.ITEM_NUMBER_MAX)]
ChuteNumber = Annotated[int, Meta(ge=0, le=limits.CHUTE_NUMBER_MAX)]
InductNumber = Annotated[int, Meta(ge=0, le=0xFFFF)]
LapCount = Annotated[int, Meta(ge=0, le=limits.LAPS_MAX)]
Grams = Annotated[float, Meta(ge=0, le=limits.WEIGHT_MAX_G)]
Millimetres = Annotated[float, Meta(ge=0, le=limits.SIZE_MAX_MM)]
Name = Annotated[str, Meta(max_length=limits.NAME_TEXT_MAX)]
Codes = Annotated[list[str], Meta(max_length=limits.CODES_PER_SCAN_MAX)]

RoleWord = Literal["scanner", "plc"]
Outcome = Literal["dropped", "passed", "lost"]
StateWord = Literal["open", "full", "blocked", "changing"]

AlarmWord = Literal[
    "plc_away",
    "plc_silent",
    "plc_back",
    "plc_restarted",
    "reader_away",
    "reader_back",
    "orders_late",
    "orders_void",
    "orders_overflow",
    "reports_lost",
    "reports_unknown",
    "epoch_reused",
    "unpaired",
    "line_stopped",
    "line_fault",
    "line_running",
]

ROLES: Final[dict[RoleWord, Role]] = {"scanner": Role.SCANNER, "plc": Role.PLC}
OUTCOMES: Final[dict[Outcome, int]] = {"dropped": 0, "passed": 1, "lost": 2}  # records.Discharge
CHUTE_STATES: Final[dict[StateWord, int]] = {"open": 0, "full": 1, "blocked": 2, "changing": 3}  # records.ChuteState

ALARM_CODES: Final[dict[str, AlarmCode]] = {alarm.word: alarm for alarm in AlarmCode}
assert get_args(AlarmWord) == tuple(ALARM_CODES)


class Message(msgspec.Struct, tag_field="type", tag=str.lower, omit_defaults=True, kw_only=True, gc=False):
    """What every message is: a map whose `type` is the class's name in small letters."""


class Hello(Message, kw_only=True, gc=False):
    """A device names itself: its first message on every connection."""

    role: RoleWord
    client: Annotated[str, Meta(min_length=1, max_length=limits.NAME_TEXT_MAX)]
    boot: Boot  # another value: the device's numbers start anew
    line: Name = ""
    seq: Number = 1  # the first number that follows
    t_ns: TimeNs = 0  # the device's own time


class Welcome(Message, kw_only=True, gc=False):
    """The daemon's answer to hello, when it is on disk."""

    plan: int
    t_ns: TimeNs  # the daemon's time
    seq: Annotated[int, Meta(ge=0)] | None = None  # the last number of this boot that is on disk


class Item(Message, kw_only=True, gc=False):
    """An item entered the belt."""

    seq: Number
    item: ItemNumber
    line: Name = ""  # absent: the line of the hello
    induct: InductNumber = 0  # 0: not told
    t_ns: TimeNs = 0


class Scan(Message, kw_only=True, gc=False):
    """An item was read; its codes as they came."""

    seq: Number
    item: ItemNumber
    line: Name = ""  # absent: the line of the hello
    codes: Codes = []
    weight_g: Grams | None = None  # 0 or absent: not measured
    size_mm: tuple[Millimetres, Millimetres, Millimetres] | None = None  # length, width, height; absent: not measured
    induct: InductNumber = 0  # 0: not told
    lap: LapCount | None = None  # absent: the scanner does not count laps
    t_ns: TimeNs = 0


class Divert(Message, kw_only=True, gc=False):
    """The daemon's order to the line's PLC."""

    line: str
    item: int
    chute: int
    reason: str
    alternate: int | None = None
    row: int = 0  # 0: no rule decided
    plan: int = 0
    deadline_ns: int = 0  # site time until which the PLC must have it to reach the first divert


class Discharge(Message, kw_only=True, gc=False):
    """What became of an item, as the PLC saw it."""

    seq: Number
    item: ItemNumber
    outcome: Outcome
    line: Name = ""  # absent: the line of the hello
    chute: ChuteNumber | None = None
    t_ns: TimeNs = 0


class Chute(Message, kw_only=True, gc=False):
    """What became of a chute, as the PLC saw it."""

    seq: Number
    chute: ChuteNumber
    state: StateWord
    line: Name = ""  # absent: the line of the hello
    t_ns: TimeNs = 0


class Alarm(Message, kw_only=True, gc=False):
    """What disturbs a line, or does no longer. It has no number: it is told once and decides nothing."""

    alarm: AlarmWord
    line: Name = ""  # absent: the line of the hello
    count: ItemNumber = 1  # how many orders, reports or readings
    t_ns: TimeNs = 0


class Ack(Message, kw_only=True, gc=False):
    """All numbers up to `seq` are on the daemon's disk."""

    seq: Annotated[int, Meta(ge=0)]


class Refuse(Message, kw_only=True, gc=False):
    """A message or a frame changed nothing; `error` is a word, `detail` a sentence.

    Of a frame: malformed, unknown_type, too_large, too_many, multipart. Of a connection: dropped,
    revoked, routing_id, unknown_client (say hello). Of a message, whose number counts all the
    same: wrong_role, unknown_line, wrong_line, unknown_chute, and the words of reasons.Refusal;
    `gap` alone asks for its message again, with those before it.
    """

    error: str
    detail: str = ""
    seq: int | None = None


class Ping(Message, kw_only=True, gc=False):
    """Are you there? With `seq`, an empty message: it stands in for one that was given up."""

    t_ns: TimeNs = 0
    seq: Number | None = None


class Pong(Message, kw_only=True, gc=False):
    """Yes; `t_ns` is that of the ping."""

    t_ns: TimeNs = 0


class Command(Message, kw_only=True, gc=False):
    """An order over the control socket."""

    id: Annotated[int, Meta(ge=0, le=INT64_MAX)]
    verb: Annotated[str, Meta(min_length=1, max_length=limits.NAME_TEXT_MAX)]
    args: dict[str, Any] = {}


class Reply(Message, kw_only=True, gc=False):
    """The answer to the command with this id."""

    id: int
    ok: bool
    result: Any = None
    error: str = ""
    detail: str = ""


AnyMessage = (
    Hello | Welcome | Item | Scan | Divert | Discharge | Chute | Alarm | Ack | Refuse | Ping | Pong | Command | Reply
)

NUMBERED: Final = (Item, Scan, Discharge, Chute)
"""What a device numbers 1, 2, 3 … and sends again until it is acknowledged."""

Numbered = Item | Scan | Discharge | Chute


class Malformed(ValueError):
    """A frame that is not a message: nothing of it was applied.

    `error` is `malformed`, `unknown_type`, `too_large` or `too_many`; `seq` is the number of the
    message at fault where it can still be read.
    """

    def __init__(self, error: str, detail: str, seq: int | None = None) -> None:
        super().__init__(detail)
        self.error = error
        self.detail = detail
        self.seq = seq

    def refuse(self) -> Refuse:
        """The answer to whoever sent it."""
        return Refuse(error=self.error, detail=self.detail, seq=self.seq)


def encode(*messages: AnyMessage) -> bytes:
    """One message as a map, several as an array of maps."""
    return _ENCODER.encode(messages[0] if len(messages) == 1 else messages)


def join(encoded: Sequence[bytes]) -> bytes:
    """One frame of messages that are encoded already; at most MESSAGES_PER_FRAME_MAX."""
    return b"\xdc" + len(encoded).to_bytes(2, "big") + b"".join(encoded)


def decode(frame: bytes) -> list[AnyMessage]:
    """The messages of a frame, in order, at least one.

    The frame's size, and the count its array claims, are checked before anything is decoded.
    Raises Malformed, and nothing else, for every other sequence of bytes.
    """
    if len(frame) > limits.FRAME_BYTES_MAX:
        raise Malformed("too_large", f"the frame has {len(frame)} bytes; the most is {limits.FRAME_BYTES_MAX}")
    count = _count(frame)
    try:
        return [_ONE.decode(frame)] if count is None else _MANY.decode(frame)
    except Exception as error:
        # Beside DecodeError, bytes alone can cause UnicodeDecodeError, RecursionError and more.
        raise _malformed(frame, count, error) from error


_ENCODER: Final = msgspec.msgpack.Encoder()
_ONE: Final = msgspec.msgpack.Decoder(AnyMessage)
_MANY: Final = msgspec.msgpack.Decoder(list[AnyMessage])
_SPLIT: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
_LOOSE: Final = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
_INT: Final = msgspec.msgpack.Decoder(int)

_DETAIL_MAX: Final = 300
_AT: Final = re.compile(r"(?s)(.*) - at `\$\.?(.*)`")
_PLAIN: Final = {
    "Expected `float` >= 0.0": "negative or not a number",
    "Expected `float` <= ": "more than ",
    "Expected `int` >= 0": "negative",
}
_HINTS: Final = {
    "weight_g": f"give grams, at most {limits.WEIGHT_MAX_G}, or leave it out when the item was not weighed",
    "size_mm": f"give [length, width, height] from 0 to {limits.SIZE_MAX_MM}, or leave it out when not measured",
    "codes": f"give a list of at most {limits.CODES_PER_SCAN_MAX} texts, as they were read",
    "item": f"give the PLC's number for the item, 0 to {limits.ITEM_NUMBER_MAX}",
    "chute": f"give the chute's number, 0 to {limits.CHUTE_NUMBER_MAX}",
    "lap": f"give 0 to {limits.LAPS_MAX}, or leave it out when laps are not counted",
    "seq": "number messages 1, 2, 3 … from the start of the device",
    "t_ns": "give nanoseconds since 1970, or leave it out",
}


def _count(frame: bytes) -> int | None:
    """How many messages the frame's head claims; None for a single map."""
    head = frame[0] if frame else 0xC1
    if 0x80 <= head <= 0x8F or head in (0xDE, 0xDF):
        return None
    if 0x90 <= head <= 0x9F:
        count = head & 0x0F
    elif head in (0xDC, 0xDD):
        count = int.from_bytes(frame[1 : 3 if head == 0xDC else 5], "big")
    else:
        found = f"begins with byte 0x{head:02x}" if frame else "is empty"
        raise Malformed("malformed", f"a frame is a msgpack map or an array of maps; this one {found}")
    if count == 0:
        raise Malformed("malformed", "the array is empty; send at least one message")
    if count > limits.MESSAGES_PER_FRAME_MAX:
        raise Malformed("too_many", f"the frame claims {count} messages; the most is {limits.MESSAGES_PER_FRAME_MAX}")
    return count


def _malformed(frame: bytes, count: int | None, error: Exception) -> Malformed:
    """Say what is wrong with a frame that could not be decoded, and in which of its messages."""
    if count is None:
        return _blame("", frame, error)
    try:
        parts = _SPLIT.decode(frame)
    except Exception as broken:  # noqa: BLE001 # any bytes may come; the frame is refused either way
        return Malformed("malformed", _cut(f"the frame is no array of {count} maps: {_plain(broken)[0]}"))
    for index, part in enumerate(parts):
        try:
            _ONE.decode(part)
        except Exception as wrong:  # noqa: BLE001 # any bytes may come; the frame is refused either way
            return _blame(f"message {index} of {count} (from 0)", bytes(part), wrong)
    return Malformed("malformed", _cut(str(error)))


def _blame(place: str, part: bytes, error: Exception) -> Malformed:
    seq = _seq(part)
    if seq is not None:
        place = f"{place}, seq {seq}" if place else f"seq {seq}"
    text, key = _plain(error)
    name = key.split("[", 1)[0].split(".", 1)[0]
    parts = [part for part in (place, key, text, _HINTS.get(name, "")) if part]
    unknown = name == "type" and text.startswith("Invalid value")
    return Malformed("unknown_type" if unknown else "malformed", _cut(": ".join(parts)), seq)


def _plain(error: Exception) -> tuple[str, str]:
    """What is wrong, and at which key as far as it is known."""
    if isinstance(error, UnicodeDecodeError):
        return "a text is not UTF-8; send every text as UTF-8", ""
    if isinstance(error, RecursionError):
        return "maps or arrays are nested too deep", ""
    found = _AT.fullmatch(str(error))
    text, key = (found[1], found[2]) if found else (str(error), "")
    for technical, plain in _PLAIN.items():
        text = text.replace(technical, plain)
    return text, key


def _seq(part: bytes) -> int | None:
    """The number of a message that is otherwise wrong, if it can be read."""
    try:
        seq = _INT.decode(_LOOSE.decode(part)["seq"])
    except Exception:  # noqa: BLE001 # any bytes may come; without a number the refusal has none
        return None
    return seq if 0 < seq <= INT64_MAX else None


def _cut(text: str) -> str:
    return text if len(text) <= _DETAIL_MAX else text[: _DETAIL_MAX - 1] + "…"
