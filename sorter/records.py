"""The nouns that stages share: what happens (events), what follows (decisions), and by what (the plan).

Units stand in the names. An index is dense and counts from 0; the largest value of its width
means "none". Times are nanoseconds since 1970 on the site's clock. Nothing here acts.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.lib.format import descr_to_dtype, dtype_to_descr
from numpy.typing import NDArray

from sorter import limits

NONE_8: Final = 0xFF
NONE_16: Final = 0xFFFF
NONE_64: Final = (1 << 64) - 1

Bytes = NDArray[np.uint8]
Words16 = NDArray[np.uint16]
Words32 = NDArray[np.uint32]
Bits = NDArray[np.uint64]
Ints32 = NDArray[np.int32]
Ints64 = NDArray[np.int64]
Rows = NDArray[np.void]


class Kind(IntEnum):
    """What an event tells. Stored in journals: never renumber."""

    TICK = 0  # time passed
    START = 1  # the daemon started: time-outs count anew
    PLAN = 2  # the plan numbered `chute` holds from here on
    HELLO = 3  # a client registered or came back; code 0 is its name
    ADVICE = 4  # code 0 is the waybill; `value` holds AdviceFlag bits
    ITEM = 5  # an item entered the belt
    SCAN = 6  # an item was read; its codes as they came
    DISCHARGE = 7  # `value` is a Discharge
    CHUTE = 8  # `value` is a ChuteState
    COMMAND = 9  # `value` is a Verb; code 0 the waybill or empty, code 1 who
    ALARM = 10  # `value` is a reasons.Alarm, `item` how many; it decides nothing


class Role(IntEnum):
    """What a client may say. `value` of a HELLO event."""

    SCANNER = 1
    PLC = 2
    CONTROL = 3


class Discharge(IntEnum):
    """What the PLC reports of an item. `value` of a DISCHARGE event."""

    DROPPED = 0
    PASSED = 1  # missed its chute and is still on the belt
    LOST = 2


class ChuteState(IntEnum):
    """What the PLC reports of a chute. `value` of a CHUTE event."""

    OPEN = 0
    FULL = 1
    BLOCKED = 2
    CHANGING = 3
    LOCKED = 4  # shut by the operator; never reported by a PLC


class Verb(IntEnum):
    """What an operator ordered. `value` of a COMMAND event."""

    LOCK = 0  # chute
    UNLOCK = 1  # chute
    CHANGE = 2  # chute: its load unit was changed, it is empty again
    INTERCEPT_ADD = 3  # waybill
    INTERCEPT_REMOVE = 4  # waybill
    TRIP_SEND = 5  # station holds the lane: its current trip has left


class Flow(IntEnum):
    """进港 county to village, 出港 village to country."""

    INBOUND = 0
    OUTBOUND = 1


class AdviceFlag(IntEnum):
    """Bits of an ADVICE event's `value`."""

    CANCELLED = 1


class Verdict(IntEnum):
    """What a decision record says. Stored in journals: never renumber."""

    DIVERT = 0  # a scan was decided; `chute` none: nothing is sent, the item goes round
    END = 1  # the item left the belt; `chute` is where it really is
    REFUSE = 2  # the event changed nothing; `reason` is a Refusal
    ENTER = 3  # an ITEM event put a new item on the belt; `serial` is its number from here on


class Target(IntEnum):
    """What a rule's send_to names."""

    LANE = 0
    CHUTE = 1
    REJECT = 2


EVENT: Final = np.dtype(
    [
        ("t_ns", "<i8"),  # when the daemon took it; never goes back
        ("seq", "<u8"),  # the client's number for it; 0: unnumbered, never a repeat
        ("boot", "<u8"),  # HELLO: the client's boot
        ("age_us", "<u4"),  # how long before t_ns it happened, as far as is known
        ("item", "<u4"),  # the PLC's number for the item
        ("code_at", "<u4"),  # first of its rows among the batch's codes
        ("weight_g", "<u4"),  # 0: not measured
        ("client", "<u2"),  # 0: the daemon itself
        ("chute", "<u2"),  # index; PLAN: the plan's number
        ("induct", "<u2"),
        ("length_mm", "<u2"),  # longest side; 0: not measured
        ("width_mm", "<u2"),
        ("height_mm", "<u2"),
        ("station", "<u2"),  # index; COMMAND TRIP_SEND: the lane
        ("kind", "u1"),
        ("line", "u1"),
        ("value", "u1"),
        ("lap", "u1"),  # NONE_8: the scanner does not count laps
        ("code_count", "u1"),
        ("carrier", "u1"),
        ("service", "u1"),
        ("flow", "u1"),
        ("_pad", "<u2"),
    ]
)
"""One thing that happened: 64 bytes, one cache line."""

CODE: Final = np.dtype([("length", "u1"), ("text", "u1", (limits.CODE_TEXT_MAX,))])
"""One code as read: `length` up to 255 as it came, its first 31 bytes, the rest zero.

Kernels see a batch's codes as a uint8 array of shape (n, 32).
"""

DECISION: Final = np.dtype(
    [
        ("t_ns", "<i8"),
        ("deadline_ns", "<i8"),  # DIVERT: until when the PLC must have it to reach the first divert
        ("waybill_hi", "<u8"),  # see waybill_text; both 0: no waybill known
        ("waybill_lo", "<u8"),
        ("serial", "<u4"),  # the item's number over all lines and times, from 1; 0: none
        ("item", "<u4"),  # the PLC's number for it
        ("event", "<u4"),  # index of its event in the batch
        ("chute", "<u2"),  # index
        ("alternate", "<u2"),  # index: second best
        ("lane", "<u2"),
        ("trip", "<u2"),
        ("station", "<u2"),
        ("row", "<u2"),  # the rule's `row` number; 0: no rule decided
        ("plan", "<u2"),  # the plan's number in the journal
        ("verdict", "u1"),
        ("reason", "u1"),  # a Reason; REFUSE: a Refusal
        ("line", "u1"),
        ("carrier", "u1"),
        ("service", "u1"),
        ("flow", "u1"),
    ]
)
"""One thing that follows from an event: 64 bytes, written beside it."""

TRIP: Final = np.dtype(
    [
        ("cutoff_min", "<u2"),  # minute of the week, Monday 00:00 = 0
        ("lead_min", "<u2"),  # minutes from cut-off to departure
        ("capacity", "<u4"),  # items; 0: unlimited
    ]
)

LINE: Final = np.dtype(
    [
        ("window_ns", "<i8"),  # scanner to first divert
        ("lap_ns", "<i8"),  # once round the loop
        ("timeout_ns", "<i8"),  # no word of an item for so long: it is lost
        ("max_laps", "<u2"),  # 0: the line diverts once and cannot recirculate
    ]
)

PATTERN: Final = np.dtype([("valid_from_ns", "<i8"), ("carrier", "u1")])

assert EVENT.itemsize == limits.EVENT_BYTES
assert CODE.itemsize == limits.CODE_BYTES
assert DECISION.itemsize == limits.DECISION_BYTES


class Batch(NamedTuple):
    """Events in the order they were taken, and the codes they refer to."""

    events: Rows  # EVENT[n]
    codes: Bytes  # uint8[m, 32]; see CODE


class Line(NamedTuple):
    """One line's geometry as time; a row of LINE."""

    window_ns: int
    lap_ns: int
    timeout_ns: int
    max_laps: int


class Waybills(NamedTuple):
    """One automaton over every carrier's waybill pattern. State 0 is dead, state 1 the start."""

    classes: Bytes  # [256] byte -> symbol class; a-z are classed as A-Z
    next_state: Words16  # [states, classes]
    accepts: Bits  # [states] bit p: the code fits pattern p
    patterns: Rows  # PATTERN[p]


class Table(NamedTuple):
    """The decision table as bit vectors: bit r of word r // 64 stands for the r-th row by priority.

    A row applies when its bit is set in one vector of every dimension. In the dimensions of
    weight, length and minute, vector i covers edges[i - 1] <= value < edges[i]; weight and
    length have one more vector, the last, for "not measured".
    """

    station: Bits  # [stations, words]
    kind: Bits  # [(carrier * services + service) * 2 + flow, words]
    weight_edges: Ints32  # [e] grams, ascending
    weight: Bits  # [e + 2, words]
    length_edges: Ints32  # [e] millimetres, ascending
    length: Bits  # [e + 2, words]
    minute_edges: Ints32  # [e] minutes of the day, ascending
    minute: Bits  # [7 * (e + 1), words]: weekday (Monday 0) * (e + 1) + interval
    target_kind: Bytes  # [rows] Target
    target: Words16  # [rows] lane index, chute index or Reason
    row: Words16  # [rows] the number staff gave the row


class SortCodes(NamedTuple):
    """三段码 to station, ascending by (key_hi, key_lo, carrier); see waybill_key for the key.

    A key is the segments joined by `-`; a shorter one (`531-A03`) stands for all that begin so.
    """

    key_hi: Bits  # [n]
    key_lo: Bits  # [n]
    carrier: Bytes  # [n]
    station: Words16  # [n]


class Plan(NamedTuple):
    """A sort plan as the core reads it: arrays only."""

    waybills: Waybills
    table: Table
    sort_codes: SortCodes
    station_lane: Words16  # [stations]; NONE_16: no lane
    lane_spill: Words16  # [lanes]; NONE_16: none
    trip_at: Words32  # [lanes + 1] where each lane's trips begin in `trips`
    trips: Rows  # TRIP[n], per lane ascending by cutoff_min
    chute_at: Words32  # [lines * lanes + 1] where each (line * lanes + lane) begins in lane_chutes
    lane_chutes: Words16  # [n] chute indices, per lane by position
    chute_line: Bytes  # [chutes]
    chute_lane: Words16  # [chutes] the chute's first lane; NONE_16: none
    chute_capacity: Words32  # [chutes] items; 0: unlimited
    exception_chute: Words16  # [lines, reasons]; NONE_16: none
    lines: Rows  # LINE[lines]
    services: int  # how many; the stride of Table.kind
    utc_offset_ns: int  # local time minus UTC


class Names(NamedTuple):
    """Index -> word, for whatever speaks to people or devices.

    An index keeps its meaning for ever: a later plan appends names and never reorders them,
    so that advices and journals stay true across plans.
    """

    carriers: tuple[str, ...]
    stations: tuple[str, ...]
    townships: tuple[str, ...]
    services: tuple[str, ...]
    lanes: tuple[str, ...]
    lines: tuple[str, ...]
    chutes: tuple[int, ...]
    carrier_titles: tuple[str, ...]  # the same order as carriers: the name staff read
    station_titles: tuple[str, ...]
    station_townships: tuple[int, ...]  # station index -> township index
    lane_titles: tuple[str, ...]
    lane_kinds: tuple[str, ...]


class SortPlan(NamedTuple):
    """A published plan: its version, what the core reads, and the names of every index."""

    version: str  # sha256 of the checked rows, 64 hex digits
    plan: Plan
    names: Names


class RecordedAdvice(NamedTuple):
    """What a carrier had told of a parcel, in names; "" where it is not known."""

    carrier: str
    station: str
    service: str
    flow: str  # a Flow's name in small letters
    cancelled: bool


class RecordedParcel(NamedTuple):
    """A parcel of a day gone by, as it was first read, and what was known of it: enough to route it anew."""

    t_ns: int
    line: str
    codes: tuple[str, ...]  # as read; "" where a reader saw a code and could not read it
    weight_g: int  # 0: not known
    length_mm: int  # longest side; 0: not measured
    advice: RecordedAdvice | None
    intercepted: bool


def plan_to_bytes(sort_plan: SortPlan) -> bytes:
    """The plan's arrays and names, complete enough to decide and to name everything.

    A zlib stream of: how long the texts are (u32, little-endian), the texts (JSON in UTF-8: version,
    names, and of each array its field, dtype and shape), and the arrays, each from a multiple of 8 on.
    """
    arrays = dict(_flat("plan", sort_plan.plan))
    told = [(name, dtype_to_descr(array.dtype), array.shape) for name, array in arrays.items()]
    texts = {"version": sort_plan.version, "names": sort_plan.names._asdict(), "arrays": told}
    head = json.dumps(texts, ensure_ascii=False).encode()
    plain = bytearray(_LENGTH.pack(len(head)) + head)
    for array in arrays.values():
        plain += bytes(-len(plain) % _ALIGNED) + array.tobytes()
    return zlib.compress(plain)


def plan_from_bytes(data: bytes) -> SortPlan:
    """The inverse of plan_to_bytes; its arrays are read-only.

    Raises ValueError when `data` is no plan, or would take too much memory.
    """
    unpacking = Unpacking()
    unpacking.add(data)
    return unpacking.plan()


class Unpacking:
    """The bytes of a plan, unpacked as they come."""

    def __init__(self) -> None:
        self._plain = bytearray()
        self._stream = zlib.decompressobj()

    def add(self, part: bytes) -> None:
        """The next bytes. Raises ValueError when they are of no plan, or would take too much memory."""
        room = limits.PLAN_UNPACKED_MAX - len(self._plain)
        try:
            self._plain += self._stream.decompress(part, room + 1)
        except zlib.error as error:
            raise ValueError(f"these bytes are not a compiled sort plan: {error}") from error
        if len(self._plain) > limits.PLAN_UNPACKED_MAX:
            raise ValueError(
                f"these bytes are not a compiled sort plan: they unpack to over {limits.PLAN_UNPACKED_MAX >> 20} MB"
            )

    def plan(self) -> SortPlan:
        """The plan, once all has come. Raises ValueError when it is none."""
        if not self._stream.eof:
            raise ValueError("these bytes are not a compiled sort plan: they are cut short")
        try:
            return _sort_plan(bytes(self._plain))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
            raise ValueError(f"these bytes are not a compiled sort plan: {error}") from error


def _sort_plan(plain: bytes) -> SortPlan:
    [length] = _LENGTH.unpack_from(plain)
    at = _LENGTH.size + length
    texts = json.loads(plain[_LENGTH.size : at])
    arrays: dict[str, NDArray[Any]] = {}
    for name, told, shape in texts["arrays"]:
        dtype, at = descr_to_dtype(told), at + -at % _ALIGNED
        arrays[name] = np.frombuffer(plain, dtype, math.prod(shape), at).reshape(shape)
        at += arrays[name].nbytes
    return SortPlan(str(texts["version"]), _unflat("plan", Plan, arrays), _names(texts["names"]))


_LENGTH: Final = struct.Struct("<I")
_ALIGNED: Final = 8


def _names(told: dict[str, list[Any]]) -> Names:
    names = Names(**{key: tuple(values) for key, values in told.items()})
    for key, values in zip(Names._fields, names, strict=True):
        kind = int if key in ("chutes", "station_townships") else str
        if not all(type(value) is kind for value in values):
            raise ValueError(f"names.{key} are not all {kind.__name__}")
    return names


_PARTS: Final[dict[str, type[Any]]] = {"waybills": Waybills, "table": Table, "sort_codes": SortCodes}


def _flat(path: str, part: Any) -> list[tuple[str, NDArray[Any]]]:
    rows: list[tuple[str, NDArray[Any]]] = []
    for field in part._fields:
        value = getattr(part, field)
        name = f"{path}.{field}"
        rows += _flat(name, value) if hasattr(value, "_fields") else [(name, np.asarray(value))]
    return rows


def _unflat(path: str, part: type[Any], arrays: dict[str, NDArray[Any]]) -> Any:
    values: list[Any] = []
    for field in part._fields:
        name = f"{path}.{field}"
        if field in _PARTS:
            values.append(_unflat(name, _PARTS[field], arrays))
        else:
            values.append(arrays[name] if arrays[name].ndim else int(arrays[name]))
    return part(*values)


_ALPHABET: Final = "\0" + "0123456789" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "-./"
_HALF: Final = limits.WAYBILL_TEXT_MAX // 2
assert len(_ALPHABET) == 40


def waybill_key(text: str) -> tuple[int, int]:
    """A code of up to 24 characters (0-9 A-Z - . /, letters folded to capitals) as (hi, lo).

    Exact: `hi` is the base-40 number of characters 1 to 12, the first most significant, `lo`
    that of characters 13 to 24, missing ones counting 0. No two codes share a key, and `hi`
    is never 0.
    Raises ValueError for another character, an empty or a longer text.
    """
    if not 0 < len(text) <= limits.WAYBILL_TEXT_MAX:
        raise ValueError(f'"{text}" has {len(text)} characters; a waybill has 1 to {limits.WAYBILL_TEXT_MAX}')
    wrong = next((char for char in text if not char.isascii() or char.upper() not in _ALPHABET[1:]), None)
    if wrong is not None:
        raise ValueError(f'"{text}" holds "{wrong}"; a waybill is of 0-9, A-Z, "-", "." and "/"')
    folded = text.upper()
    return _half(folded[:_HALF]), _half(folded[_HALF:])


def _half(text: str) -> int:
    number = 0
    for char in text.ljust(_HALF, _ALPHABET[0]):
        number = number * 40 + _ALPHABET.index(char)
    return number


def waybill_text(hi: int, lo: int) -> str:
    """The code of a key; the empty text for (0, 0), which no code has."""
    chars = []
    for half in (int(lo), int(hi)):
        rest = half
        for _ in range(_HALF):
            rest, place = divmod(rest, 40)
            chars.append(_ALPHABET[place])
    return "".join(reversed(chars)).rstrip(_ALPHABET[0])


def code_row(text: bytes) -> bytes:
    """One row of CODE for a code as read."""
    kept = text[: limits.CODE_TEXT_MAX]
    return bytes([min(len(text), 255)]) + kept.ljust(limits.CODE_TEXT_MAX, b"\0")
