"""PLC programs with one mistake each, and a real Modbus server with the mistakes of its configuration.

A program is a PlcSide whose block is spoilt on its way out, so that every dialect's server can carry it.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple, Self, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from plc_adapter.mailbox import BLOCK_BYTES, BLOCK_WORDS, LineState, PlcSide, Told, from_words, to_words
from sorter.records import Kind

HEAD = 6  # the low words of what a block begins with
HEARTBEAT, TAIL, LINE_STATE, CLOCK = 5, 8, 10, 11

Spoil = Callable[[list[int]], None]
"""Changes the words of a block in place."""


class FaultyProgram(PlcSide):
    """A PlcSide with three items reported, which writes its block wrong."""

    def __init__(self, spoil: Spoil = lambda _words: None, *, epoch: int = 7) -> None:
        super().__init__(epoch)
        self._spoil = spoil
        for item in range(1, 4):
            self.report(Kind.ITEM, item, 1, 0, 0)

    def block(self, clock_ms: int, line_state: LineState = LineState.RUNNING) -> bytes:
        words = to_words(super().block(clock_ms, line_state))
        self._spoil(words)
        return from_words(words)


class OverrunningProgram(FaultyProgram):
    """Reports on and on, whether its ring has room or not."""

    @property
    def room(self) -> int:
        return 1

    def __init__(self) -> None:
        super().__init__()
        for item in range(4, 21):
            self.report(Kind.ITEM, item, 1, 0, 0)


class ForgetfulProgram(FaultyProgram):
    """Begins again with the same epoch, in the middle of what is read of it."""

    def block(self, clock_ms: int, line_state: LineState = LineState.RUNNING) -> bytes:
        if self._beat == 8:
            self.restart(self.epoch)
            self.report(Kind.ITEM, 1, 1, 0, 0)
        return super().block(clock_ms, line_state)


class RestlessProgram(FaultyProgram):
    """Takes each scan for a start."""

    def block(self, clock_ms: int, line_state: LineState = LineState.RUNNING) -> bytes:
        self.restart(self.epoch + 1)
        return super().block(clock_ms, line_state)


class StampingProgram(FaultyProgram):
    """Stamps what it reports with another clock than it shows."""

    def block(self, clock_ms: int, line_state: LineState = LineState.RUNNING) -> bytes:
        if self._beat == 8:
            self.report(Kind.ITEM, 4, 1, 0, clock_ms - 20_000)
        return super().block(clock_ms, line_state)


class UnsteadyProgram(FaultyProgram):
    """Takes an acknowledgement back."""

    def block(self, clock_ms: int, line_state: LineState = LineState.RUNNING) -> bytes:
        self.tail = 3 if self._beat < 8 else 0
        return super().block(clock_ms, line_state)


class DeafProgram(FaultyProgram):
    """Looks for the host's block where it is not."""

    def receive(self, block: bytes, now_ns: int) -> list[Told]:
        assert len(block) == BLOCK_BYTES
        assert now_ns
        return []


class DrivenProgram(FaultyProgram):
    """An adapter gives it one order after the other."""

    def block(self, clock_ms: int, line_state: LineState = LineState.RUNNING) -> bytes:
        self.taken += 1
        return super().block(clock_ms, line_state)


def word(at: int, value: int) -> Spoil:
    """Writes one word wrong."""

    def spoil(words: list[int]) -> None:
        words[at] = value

    return spoil


def of_report(number: int, word_: int, value: int) -> Spoil:
    """Writes one word of a report wrong."""
    return word(16 + number % 8 * 8 + word_, value)


def record(kind: int, point: int, value: int) -> Spoil:
    """Tells something else in report 2."""

    def spoil(words: list[int]) -> None:
        words[33], words[36:38] = kind, [point, value]

    return spoil


def bytes_swapped(words: list[int]) -> None:
    words[:] = [value >> 8 | (value & 0xFF) << 8 for value in words]


def head_swapped(words: list[int]) -> None:
    words[HEAD : HEAD + 2] = words[HEAD + 1], words[HEAD]


def one_place_on(words: list[int]) -> None:
    words[16:] = words[-8:] + words[16:-8]


def clock_times(rate: float) -> Spoil:
    """A clock that counts another unit than milliseconds."""

    def spoil(words: list[int]) -> None:
        words[CLOCK] = int(time.monotonic() * 1000 * rate) & 0xFFFF

    return spoil


class Misconfigured:
    """A real Modbus server whose block, unit or speed is not what site.toml says; not `answering`, it is mute.

    Registers are 0 to 199 where it has them, the mailbox from `at`; other units than `unit` do not answer.
    """

    def __init__(self, plc: PlcSide, *, at: int = 0, unit: int = 1, delay_s: float = 0.0, first: int = 0) -> None:
        self.plc = plc
        self.at = at
        self.unit = unit
        self.delay_s = delay_s
        self.answering = asyncio.Event()
        self.answering.set()
        self.writes = 0
        self.port = 0
        self._first = first
        self._server: ModbusTcpServer | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        registers = SimData(self._first, values=[0] * (200 - self._first), datatype=DataType.REGISTERS)
        here = SimDevice(self.unit, simdata=[registers], action=self._answer)
        others = SimDevice(0, simdata=[registers], action=self._nobody)
        self._server = ModbusTcpServer([others, here], address=("127.0.0.1", 0))
        await self._server.serve_forever(background=True)
        self.port = cast(asyncio.Server, self._server.transport).sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        assert self._server is not None
        self.answering.set()
        await self._server.shutdown()  # type: ignore[no-untyped-call] # pymodbus gives no type

    async def _answer(
        self, _function: int, start: int, address: int, count: int, registers: list[int], values: object
    ) -> ExcCodes | None:
        await self.answering.wait()
        await asyncio.sleep(self.delay_s)
        self.writes += values is not None
        if address - start < self.at - start + BLOCK_WORDS and self.at < address + count:
            registers[self.at - start : self.at - start + BLOCK_WORDS] = to_words(
                self.plc.block(time.monotonic_ns() // 1_000_000)
            )
        return None

    async def _nobody(self, *_: object) -> ExcCodes:  # a gateway's word for a unit that is not there
        return ExcCodes.GATEWAY_NO_RESPONSE


class Mistake(NamedTuple):
    """A program with a mistake, and how it is named."""

    program: Callable[[], PlcSide]
    fault: str
    message: str
    do: str


def spoilt(spoil: Spoil) -> Callable[[], PlcSide]:
    return lambda: FaultyProgram(spoil)


MISTAKES = {
    "words swapped": Mistake(lambda: PlcSide(7, "little"), "word_order", "other order", 'word_order = "little"'),
    "bytes swapped": Mistake(spoilt(bytes_swapped), "byte_order", "bytes of each word are swapped", "SWAP"),
    "head swapped": Mistake(spoilt(head_swapped), "word_order", "196608 for 3", "every u32 in the same order"),
    "no program": Mistake(spoilt(lambda words: words.__setitem__(slice(None), [0] * 80)), "empty", "is 0", "start"),
    "another layout": Mistake(spoilt(word(1, 2)), "layout", "another layout", "same version"),
    "epoch 0": Mistake(spoilt(word(3, 0)), "epoch", "the epoch is 0", "count epochs from 1"),
    "epoch in each scan": Mistake(RestlessProgram, "epoch", "the epoch changed", "first scan after a start"),
    "epoch kept": Mistake(ForgetfulProgram, "same_epoch", "went back from 3 to 1 within epoch 7", "retained memory"),
    "stopped": Mistake(
        spoilt(lambda words: (words.__setitem__(HEARTBEAT, 9), words.__setitem__(CLOCK, 9), None)[2]),
        "heartbeat",
        "the heartbeat stands still",
        "STOP to RUN",
    ),
    "no heartbeat": Mistake(spoilt(word(HEARTBEAT, 9)), "heartbeat", "though the program runs", "in each scan"),
    "overrun": Mistake(OverrunningProgram, "overrun", "20 reports are not acknowledged", "head - tail is 8"),
    "tail too far": Mistake(spoilt(word(TAIL, 5)), "tail", "tail 5 is past the head 3", "between"),
    "tail back": Mistake(UnsteadyProgram, "tail", "the tail went back from 3 to 0", "between"),
    "never closed": Mistake(spoilt(of_report(3, 7, 0)), "torn", "report 3, but it is never closed", "raise head"),
    "never opened": Mistake(spoilt(of_report(2, 0, 0)), "torn", "report 2, but it is never opened", "seq (word 0"),
    "head too early": Mistake(spoilt(word(HEAD + 1, 4)), "torn", "report 4, but it is never written", "raise head"),
    "wrong place": Mistake(spoilt(one_place_on), "place", "stands at place 2", "n mod 8"),
    "clock stands": Mistake(spoilt(word(CLOCK, 77)), "clock", "the clock stands still", "milliseconds"),
    "clock in 10 ms": Mistake(spoilt(clock_times(0.1)), "clock", "it seems to count 10 ms", "milliseconds"),
    "clock in 100 us": Mistake(spoilt(clock_times(10)), "clock", "it seems to count 100 us", "milliseconds"),
    "two clocks": Mistake(StampingProgram, "stamp", "report 4 is new, but its stamp", "same clock"),
    "no kind": Mistake(spoilt(record(3, 1, 0)), "record", "report 2 is of kind 3", "5 for an item"),
    "no outcome": Mistake(spoilt(record(7, 1, 9)), "record", "report 2 has outcome 9", "0 for dropped"),
    "no chute state": Mistake(spoilt(record(8, 1, 4)), "record", "report 2 has chute state 4", "0 for open"),
    "no chute": Mistake(spoilt(record(7, 65_535, 0)), "record", "report 2 is of chute 65535", "rule tables"),
    "no line state": Mistake(spoilt(word(LINE_STATE, 9)), "line_state", "line state 9 is none", "1 for running"),
}
