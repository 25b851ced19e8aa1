"""Messages in, rows out: the only place where a message becomes an event, in the order it came.

Rows are packed into memory that is allocated once. A message that may not be said, or names
what the plan does not have, is refused; its number is used up all the same (a numbered TICK),
so that the messages behind it are not held back for ever.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final, TypeGuard

import numpy as np

from sorter import limits
from sorter.reasons import READERS
from sorter.records import (
    CODE,
    EVENT,
    NONE_8,
    NONE_16,
    AdviceFlag,
    Batch,
    Flow,
    Kind,
    Names,
    Role,
    Verb,
)
from sorter.wire import frames
from sorter.wire.frames import Refuse, Scan

_CODE_LENGTH_MAX: Final = 255
_UNMEASURED: Final = (0.0, 0.0, 0.0)
_EVENT_BYTES: Final = limits.EVENT_BYTES
_CODE_BYTES: Final = limits.CODE_BYTES

_CODE: Final = struct.Struct(f"<B{limits.CODE_TEXT_MAX}s")
_SCAN: Final = struct.Struct("<qQ8xIIIIH2xHHHH2xBBxBB5x")
_FLOOR: Final = struct.Struct("<qQ8xII8xHHH8xBBB7x")  # item, discharge, chute and numbered tick
_ROW: Final = struct.Struct("<qQQIIIIHHHHHHHBBBBBBBBH")  # every field of EVENT

assert _SCAN.size == _FLOOR.size == _ROW.size == EVENT.itemsize
assert _CODE.size == CODE.itemsize
assert limits.MESSAGES_PER_FRAME_MAX * limits.CODES_PER_SCAN_MAX <= limits.BATCH_CODES_MAX

_SCAN_KIND: Final = int(Kind.SCAN)
_SCANNER: Final = int(Role.SCANNER)
_PLC: Final = int(Role.PLC)
_SAYS: Final = {
    Role.SCANNER: "a scanner says scan, alarms of readers and ping",
    Role.PLC: "a plc says item, discharge, chute, alarms of its own and ping",
    Role.CONTROL: "commands go to the control address",
}


class Intake:
    """The batch that is being gathered. Ask `room`, `take`, hand out `batch`, `clear`; one thread."""

    def __init__(self, names: Names) -> None:
        self._events = bytearray(limits.BATCH_EVENTS_MAX * _EVENT_BYTES)
        self._codes = bytearray(limits.BATCH_CODES_MAX * _CODE_BYTES)
        self._event_rows = np.frombuffer(self._events, EVENT)
        self._code_rows = np.frombuffer(self._codes, np.uint8).reshape(-1, _CODE_BYTES)
        self._event_count = 0
        self._code_count = 0
        self.rename(names)

    def rename(self, names: Names) -> None:
        """Use the names of a new plan from here on."""
        self._names = names
        self.lines = {name: index for index, name in enumerate(names.lines)}
        self.lanes = {name: index for index, name in enumerate(names.lanes)}
        self.chutes = {number: index for index, number in enumerate(names.chutes)}
        self._stations = {name: index for index, name in enumerate(names.stations)}
        self._carriers = {name: index for index, name in enumerate(names.carriers)}
        self._services = {name: index for index, name in enumerate(names.services)}

    def room(self) -> int:
        """How many more messages surely fit; an empty batch takes any one frame."""
        codes = limits.BATCH_CODES_MAX - self._code_count
        return min(limits.BATCH_EVENTS_MAX - self._event_count, codes // limits.CODES_PER_SCAN_MAX)

    def batch(self) -> Batch:
        """Events and codes taken so far: views of this memory, true until `clear`."""
        return Batch(self._event_rows[: self._event_count], self._code_rows[: self._code_count])

    def clear(self) -> None:
        """Begin the next batch in the same memory."""
        self._event_count = 0
        self._code_count = 0

    def take(  # noqa: PLR0917 # the hot path: keywords cost a fifth of it
        self, message: frames.AnyMessage, client: int, role: int, line: int | None, t_ns: int, age_us: int
    ) -> Refuse | None:
        """One message of a device becomes one row.

        `line` is the hello's (None or NONE_8: any line), `age_us` how long ago it happened, below 2**32.
        A refusal changes nothing but the client's number. Raises struct.error when there is no room.
        """
        if message.__class__ is not Scan:
            return self._take_other(message, client, role, line, t_ns, age_us)
        if role != _SCANNER:
            return self._wrong_role(message, client, role, t_ns)
        index = self.lines.get(message.line) if message.line else line
        if index is None or (index != line and line is not None) or index == NONE_8:
            fault = self._line_fault(message.line, line)
            if fault:
                return self._refuse(message, client, t_ns, *fault)
        codes = self._codes
        first = code_at = self._code_count
        for code in message.codes:
            if code:
                text = code.encode()[:_CODE_LENGTH_MAX]
                _CODE.pack_into(codes, code_at * _CODE_BYTES, len(text), text)
                code_at += 1
        length_mm, width_mm, height_mm = message.size_mm or _UNMEASURED
        if not length_mm >= width_mm >= height_mm:
            height_mm, width_mm, length_mm = sorted((length_mm, width_mm, height_mm))
        _SCAN.pack_into(
            self._events,
            self._event_count * _EVENT_BYTES,
            t_ns,
            message.seq,
            age_us,
            message.item,
            first,
            int((message.weight_g or 0.0) + 0.5),
            client,
            message.induct,
            int(length_mm + 0.5),
            int(width_mm + 0.5),
            int(height_mm + 0.5),
            _SCAN_KIND,
            index,
            NONE_8 if message.lap is None else message.lap,
            code_at - first,
        )
        self._code_count = code_at
        self._event_count += 1
        return None

    def hello(self, message: frames.Hello, client: int, t_ns: int) -> Refuse | None:
        """A device registers or comes back: a HELLO row, the name as its code."""
        name = message.client.encode()
        if len(name) > limits.NAME_TEXT_MAX:
            sentence = f'the name "{message.client}" has {len(name)} bytes; the most is {limits.NAME_TEXT_MAX}'
            return Refuse(error="bad_name", detail=sentence)
        line = self.lines.get(message.line, NONE_8)
        if line == NONE_8 and (message.line or message.role == "plc"):
            return Refuse(error="unknown_line", detail=self._unknown_line(message.line))
        role = frames.ROLES[message.role]
        self._row(
            Kind.HELLO, t_ns, client=client, seq=message.seq, boot=message.boot, line=line, value=role, codes=(name,)
        )
        return None

    def advice(self, row: Sequence[Any], t_ns: int) -> Refuse | None:
        """A carrier's advice: [waybill, carrier, station, service, flow, weight_g, flags].

        Carrier, station and service are words or indices of Names, flow is a records.Flow,
        weight_g 0 is unknown, flags are records.AdviceFlag bits.
        """
        if len(row) != len(_ADVICE_KEYS) or not isinstance(row[0], str) or not row[0]:
            sentence = f"an advice is [{', '.join(_ADVICE_KEYS)}], the waybill as text; this one is {row!r:.80}"
            return Refuse(error="bad_advice", detail=sentence)
        waybill, carrier, station, service, flow, weight_g, flags = row
        indices = [
            _index(part, known)
            for part, known in ((carrier, self._carriers), (station, self._stations), (service, self._services))
        ]
        if -1 in indices:
            at = indices.index(-1)
            kind = _ADVICE_KEYS[1 + at]
            sentence = f"{kind} {row[1 + at]!r:.40} is not in the sort plan; add it to the table or correct the advice"
            return Refuse(error=f"unknown_{kind}", detail=sentence)
        for key, value, most in zip(_ADVICE_KEYS[4:], row[4:], _ADVICE_MOST, strict=True):
            if not _is_whole(value) or not 0 <= value <= most:
                sentence = f"{key} is {value!r:.40}; give a whole number from 0 to {most}"
                return Refuse(error="bad_advice", detail=sentence)
        self._row(
            Kind.ADVICE,
            t_ns,
            carrier=indices[0],
            station=indices[1],
            service=indices[2],
            flow=flow,
            weight_g=weight_g,
            value=flags,
            codes=(waybill.encode(),),
        )
        return None

    def command(
        self, verb: Verb, t_ns: int, *, chute: int | None = None, lane: str = "", waybill: str = "", who: str = ""
    ) -> Refuse | None:
        """An operator's order: code 0 is the waybill or empty, code 1 who gave it.

        Chute verbs need `chute` (its number), TRIP_SEND needs `lane`, intercepts need `waybill`.
        """
        if verb in (Verb.INTERCEPT_ADD, Verb.INTERCEPT_REMOVE) and not waybill:
            return Refuse(error="bad_command", detail=f"{_word(verb)} needs a waybill")
        chute_index = lane_index = NONE_16
        if verb in (Verb.LOCK, Verb.UNLOCK, Verb.CHANGE):
            if chute not in self.chutes:
                return Refuse(error="unknown_chute", detail=self._unknown_chute(chute))
            chute_index = self.chutes[chute]
        if verb == Verb.TRIP_SEND:
            if lane not in self.lanes:
                sentence = f'lane "{lane}" is not in the sort plan; look for its name in the table lanes'
                return Refuse(error="unknown_lane", detail=sentence)
            lane_index = self.lanes[lane]
        codes = (waybill.encode(), who.encode())
        self._row(Kind.COMMAND, t_ns, chute=chute_index, station=lane_index, value=verb, codes=codes)
        return None

    def tick(self, t_ns: int) -> None:
        """Time passed."""
        self._row(Kind.TICK, t_ns)

    def start(self, t_ns: int) -> None:
        """The daemon started."""
        self._row(Kind.START, t_ns)

    def plan(self, number: int, t_ns: int) -> None:
        """The plan numbered `number` holds from here on; the first row of its batch."""
        self._row(Kind.PLAN, t_ns, chute=number)

    def _take_other(  # noqa: PLR0917 # the rest of `take`
        self, message: frames.AnyMessage, client: int, role: int, line: int | None, t_ns: int, age_us: int
    ) -> Refuse | None:
        if isinstance(message, frames.Ping):
            if message.seq is not None:
                self._use_up(message.seq, client, t_ns)
            return None
        if isinstance(message, frames.Alarm):
            return self._alarm(message, client, role, line, t_ns, age_us)
        if role != _PLC or not isinstance(message, frames.Item | frames.Discharge | frames.Chute):
            return self._wrong_role(message, client, role, t_ns)
        fault = self._floor_fault(message, line)
        if fault:
            return self._refuse(message, client, t_ns, *fault)
        index = self.lines[message.line] if message.line else line
        item = induct = value = 0
        chute = NONE_16
        if isinstance(message, frames.Item):
            kind, item, induct = Kind.ITEM, message.item, message.induct
        else:
            chute = NONE_16 if message.chute is None else self.chutes[message.chute]
            if isinstance(message, frames.Chute):
                kind, value = Kind.CHUTE, frames.CHUTE_STATES[message.state]
            else:
                kind, item, value = Kind.DISCHARGE, message.item, frames.OUTCOMES[message.outcome]
        self._floor(t_ns, message.seq, age_us, item, client, chute, induct, kind, index, value)
        return None

    def _alarm(  # noqa: PLR0917 # as `take`
        self, message: frames.Alarm, client: int, role: int, line: int | None, t_ns: int, age_us: int
    ) -> Refuse | None:
        alarm = frames.ALARM_CODES[message.alarm]
        if role != (_SCANNER if alarm in READERS else _PLC):
            return self._wrong_role(message, client, role, t_ns)
        fault = self._fault_of_line(message.line, line)
        if fault:
            return self._refuse(message, client, t_ns, *fault)
        index = self.lines[message.line] if message.line else line
        self._floor(t_ns, 0, age_us, message.count, client, NONE_16, 0, Kind.ALARM, index, alarm)
        return None

    def _fault_of_line(self, name: str, line: int | None) -> tuple[str, str] | None:
        index = self.lines.get(name) if name else line
        return self._line_fault(name, line) if index is None or index != line or index == NONE_8 else None

    def _floor_fault(
        self, message: frames.Item | frames.Discharge | frames.Chute, line: int | None
    ) -> tuple[str, str] | None:
        """Why a PLC's message cannot be taken: an error and a sentence."""
        fault = self._fault_of_line(message.line, line)
        if fault:
            return fault
        if isinstance(message, frames.Item):
            return None
        if message.chute is not None and message.chute not in self.chutes:
            return "unknown_chute", self._unknown_chute(message.chute)
        if isinstance(message, frames.Discharge) and message.outcome == "dropped" and message.chute is None:
            return "unknown_chute", f"item {message.item} dropped, but where? give chute, its number"
        return None

    def _floor(self, *fields: int | None) -> None:
        _FLOOR.pack_into(self._events, self._event_count * _EVENT_BYTES, *fields)
        self._event_count += 1

    def _row(
        self,
        kind: Kind,
        t_ns: int,
        *,
        seq: int = 0,
        boot: int = 0,
        client: int = 0,
        chute: int = 0,
        station: int = 0,
        weight_g: int = 0,
        line: int = NONE_8,
        value: int = 0,
        carrier: int = 0,
        service: int = 0,
        flow: int = 0,
        codes: tuple[bytes, ...] = (),
    ) -> None:
        first = self._code_count
        for place, text in enumerate(codes, first):
            _CODE.pack_into(self._codes, place * _CODE_BYTES, min(len(text), 255), text)
        at = self._event_count * _EVENT_BYTES
        head = (t_ns, seq, boot, 0, 0, first, weight_g, client, chute, 0, 0, 0, 0, station)
        _ROW.pack_into(self._events, at, *head, kind, line, value, NONE_8, len(codes), carrier, service, flow, 0)
        self._code_count = first + len(codes)
        self._event_count += 1

    def _use_up(self, seq: int, client: int, t_ns: int) -> None:
        self._floor(t_ns, seq, 0, 0, client, 0, 0, Kind.TICK, NONE_8, 0)

    def _refuse(self, message: frames.AnyMessage, client: int, t_ns: int, error: str, detail: str) -> Refuse:
        if isinstance(message, frames.NUMBERED):
            self._use_up(message.seq, client, t_ns)
            return Refuse(error=error, detail=detail, seq=message.seq)
        return Refuse(error=error, detail=detail)

    def _wrong_role(self, message: frames.AnyMessage, client: int, role: int, t_ns: int) -> Refuse:
        word = type(message).__name__.lower()
        own = Role(role).name.lower()
        return self._refuse(message, client, t_ns, "wrong_role", f"a {own} may not say {word}; {_SAYS[Role(role)]}")

    def _line_fault(self, name: str, line: int | None) -> tuple[str, str] | None:
        """The error and sentence for a message of line `name` from a client of line `line`."""
        if not name or name not in self.lines:
            return "unknown_line", self._unknown_line(name)
        if line is None or line == NONE_8:
            return None
        own = self._names.lines[line]
        return "wrong_line", f'this client said hello for line {own}; line "{name}" needs a client of its own'

    def _unknown_line(self, name: str) -> str:
        known = ", ".join(self._names.lines)
        return f'the site has no line "{name}"; its lines are {known}' if name else f"say which line: one of {known}"

    def _unknown_chute(self, number: int | None) -> str:
        return f"chute {number} is not in the sort plan; add it to the table chutes or correct the number"


_ADVICE_KEYS: Final = ("waybill", "carrier", "station", "service", "flow", "weight_g", "flags")
_ADVICE_MOST: Final = (max(Flow), limits.WEIGHT_MAX_G, AdviceFlag.CANCELLED)


def _index(part: object, known: dict[str, int]) -> int:
    """The index that a word or an index names; -1: none."""
    if isinstance(part, str):
        return known.get(part, -1)
    return int(part) if _is_whole(part) and 0 <= part < len(known) else -1


def _is_whole(part: object) -> TypeGuard[int]:
    return isinstance(part, int) and not isinstance(part, bool)


def _word(verb: Verb) -> str:
    return verb.name.lower().replace("_", " ")
