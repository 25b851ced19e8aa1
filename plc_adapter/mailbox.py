"""The ring mailbox between host and PLC, as bytes, for every dialect. No clock, no socket: time is an argument.

Each side owns one block of 80 words (16 bits, high byte first) that the other only reads.
u32 are two words; which comes first is the site's `word_order`. The words stand in blocks.py,
and with all this as a page for the PLC's programmer in MAILBOX.md.

How it is used:
- Reports and orders are numbered from 1. One is there when it is not past head and both its
  seq words are the low word of its number; otherwise it is not there yet.
- A report's words are written in their order, and `head` after them: who reads meanwhile sees
  the old block or the whole report.
- A place is used again only when the other side has acknowledged it: `tail` for reports,
  `taken` for orders. head - tail > 8 is an overrun: reports are gone, and it is an alarm.
- A `tail` that is not between the PLC's own tail and head is an old one: ignore it.
- Take every order out at once, also one with `left` 0; a later order for an item replaces the earlier.
- An epoch that changes is a PLC restart. The host then meets the PLC anew: it raises the host
  epoch, and the PLC takes the new host epoch over and counts orders from 0 again.
- In the scan that takes a new host epoch over the PLC takes no orders: the ring beside it may
  still be the old one, and the host gives none before it has read its epoch back.
- A host epoch up to 32,767 before the one taken over is of an adapter that another has replaced:
  ignore its block. The replaced one reads that in the echo, and stands by.
- No new heartbeat for 500 ms: the other side is dead. The PLC recirculates on its own.
- After a new epoch of either side the PLC reports the state of every chute: an adapter that died
  may have taken the last change with it.

A report's number is also its number on the wire, and the epoch is the wire's boot: an adapter
that starts again needs no memory, and the daemon drops what it has counted already.
"""

from collections.abc import Sequence
from enum import IntEnum
from struct import Struct
from typing import Final, Literal, NamedTuple

from plc_adapter import blocks
from plc_adapter.port import Cause, Garbled, Refused
from sorter.records import NONE_16

RING: Final = blocks.RING
BLOCK_WORDS: Final = blocks.BLOCK_WORDS
BLOCK_BYTES: Final = 2 * BLOCK_WORDS
MARK: Final = 0x4853_0001  # "HS", layout 1
SILENT_NS: Final = 500_000_000  # a heartbeat older than this is a dead side
NUMBER_MAX: Final = 2**32 - 1  # reports in one epoch
ODD_HEADS_MAX: Final = 3  # so many in a row, and the head is what the PLC means

WordOrder = Literal["big", "little"]

_PLC_HEAD: Final = blocks.PLC_HEAD.struct()
_HOST_HEAD: Final = blocks.HOST_HEAD.struct()
_REPORT: Final = blocks.REPORT.struct()
_ORDER: Final = blocks.ORDER.struct()
_WORDS: Final = Struct(f">{BLOCK_WORDS}H")
_HEAD_BYTES: Final = 2 * blocks.HEAD_WORDS
_PLACE_BYTES: Final = 2 * blocks.PLACE_WORDS
_LOW: Final = 0xFFFF
_NEW_EPOCH: Final = "its program must begin a new epoch when it restarts"

assert _PLC_HEAD.size == _HOST_HEAD.size == _HEAD_BYTES
assert _REPORT.size == _ORDER.size == _PLACE_BYTES
assert _HEAD_BYTES + RING * _PLACE_BYTES == BLOCK_BYTES
assert (1 << 16) % RING == 0  # a place follows from the low word alone
assert BLOCK_WORDS <= 121  # Modbus function 23 writes no more; it reads 125


class HostState(IntEnum):
    """Whether the host can decide; not to be taken for its heartbeat."""

    AWAY = 0  # the adapter lives but has no daemon: expect no orders
    DECIDING = 1


class LineState(IntEnum):
    """What the line does, for screens and logs."""

    STOPPED = 0
    RUNNING = 1
    FAULT = 2


class PlcHead(NamedTuple):
    """The first words of the PLC's block."""

    epoch: int
    host_epoch: int
    heartbeat: int
    head: int
    tail: int
    taken: int
    line_state: int
    clock_ms: int


class Report(NamedTuple):
    """What the PLC tells, as the host reads it."""

    number: int  # counted from 1 since the epoch began
    kind: int  # Kind.ITEM, Kind.DISCHARGE or Kind.CHUTE
    item: int
    point: int  # ITEM: induct; otherwise the chute's number
    value: int  # DISCHARGE: Discharge; CHUTE: ChuteState
    age_ms: int  # modulo 65,536


class Order(NamedTuple):
    """A divert, as the host gives it."""

    item: int
    chute: int
    alternate: int  # NONE_16: none
    deadline_ns: int  # until then the PLC can act on it
    reason: int


class Told(NamedTuple):
    """A divert, as the PLC reads it."""

    item: int
    chute: int
    alternate: int  # NONE_16: none
    left_ms: int  # left to act on it, as of when the host wrote it; 0: too late
    reason: int


def to_words(block: bytes) -> list[int]:
    """The words of a block, for dialects that speak registers."""
    return list(_WORDS.unpack(block))


def from_words(words: Sequence[int]) -> bytes:
    """The block of BLOCK_WORDS words. Raises Garbled when there are more, fewer or wider ones."""
    if len(words) != BLOCK_WORDS:
        raise Garbled(f"the PLC gave {len(words)} registers; a mailbox has {BLOCK_WORDS}", Cause.SHAPE)
    return _WORDS.pack(*words)


def _same(value: int) -> int:
    return value


def _swapped(value: int) -> int:
    return value >> 16 | (value & _LOW) << 16


def look(block: bytes, word_order: WordOrder) -> PlcHead:
    """The head of the PLC's block. Raises Garbled when this is no mailbox, and says why."""
    if len(block) != BLOCK_BYTES:
        raise Garbled(f"the PLC gave {len(block)} bytes; a mailbox has {BLOCK_BYTES}", Cause.SHAPE)
    mark, epoch, echo, beat, head, tail, taken, line_state, clock_ms = _PLC_HEAD.unpack_from(block)
    u32 = _same if word_order == "big" else _swapped
    if u32(mark) != MARK:
        raise Garbled(no_mark(mark, word_order))
    if epoch == 0:
        raise Garbled("the PLC's epoch is 0: its mailbox program has not started; let it count epochs from 1")
    return PlcHead(u32(epoch), echo, beat, u32(head), tail, taken, line_state, clock_ms)


def _place(number: int) -> int:
    return _HEAD_BYTES + number % RING * _PLACE_BYTES


def follows(host_epoch: int, earlier: int) -> bool:
    """Whether a host epoch began after another. Each start of an adapter counts on from the PLC's; 0 is left out."""
    return 0 < (host_epoch - earlier & _LOW) < 0x8000


class HostSide:
    """The adapter's end: reads reports, gives orders."""

    def __init__(self, word_order: WordOrder = "big") -> None:
        self.epoch = 0  # the PLC's; 0: not met
        self.host_epoch = 0
        self.ready = False  # both sides know each other's epoch
        self.read = 0  # number of the last report read
        self.acknowledged = 0  # number of the last report acknowledged
        self.given = 0  # number of the last order
        self.taken = 0  # number of the last order the PLC took
        self.line_state = 0
        self.overruns = 0
        self.lost = 0  # reports gone by overruns
        self.torn_reads = 0  # reads in a row that ended at a report which is not there yet
        self.void = 0  # orders given and not taken when an epoch ended
        self.reused = 0  # times the PLC began again in an epoch that it had used
        self._u32 = _same if word_order == "big" else _swapped
        self._word_order: WordOrder = word_order
        self._block = bytearray(BLOCK_BYTES)
        self._ring: list[Order] = [Order(0, 0, NONE_16, 0, 0)] * RING
        self._beat = 0
        self._met = 0  # the epoch last met, also while the PLC is met anew
        self._began_again = False
        self._head_high = 0
        self._odd_heads = 0  # reads in a row whose head was too far from what was read
        self._plc_beat = -1
        self._heard_ns = 0

    @property
    def room(self) -> int:
        """How many orders may be given now."""
        return RING - (self.given - self.taken) if self.ready else 0

    def give(self, order: Order) -> bool:
        """Put an order into the ring. False: no room now."""
        if self.room == 0:
            return False
        self.given += 1
        self._ring[self.given % RING] = order
        return True

    def acknowledge(self, number: int) -> None:
        """The PLC may use the places of all reports up to `number` again."""
        if number > self.read:
            raise ValueError(f"report {number} was not read yet; the last one is {self.read}")
        self.acknowledged = max(self.acknowledged, number)

    def silent_ns(self, now_ns: int) -> int:
        """How long ago the PLC's heartbeat last changed; as long as `now_ns` before it was ever heard."""
        return now_ns - self._heard_ns

    def forget(self) -> None:
        """Meet the PLC anew on the next read."""
        self.epoch = 0
        self.ready = False

    def block(self, now_ns: int, state: HostState) -> bytes:
        """The block to write now. Each call is a heartbeat."""
        u32 = self._u32
        self._beat = self._beat + 1 & _LOW
        head = (u32(MARK), u32(self.epoch), self.host_epoch, self._beat, self.given & _LOW, self.acknowledged & _LOW)
        _HOST_HEAD.pack_into(self._block, 0, *head, state)
        for number in range(self.taken + 1, self.given + 1):
            item, chute, alternate, deadline_ns, reason = self._ring[number % RING]
            left_ms = min(max((deadline_ns - now_ns) // 1_000_000, 0), _LOW)
            seq = number & _LOW
            _ORDER.pack_into(self._block, _place(number), seq, u32(item), chute, alternate, left_ms, reason, seq)
        return bytes(self._block)

    def receive(self, block: bytes, now_ns: int) -> list[Report]:
        """The reports that are new in the PLC's block.

        Raises Garbled when this is no mailbox, Refused when another adapter has taken the PLC over.
        """
        epoch, echo, beat, head, tail, taken, self.line_state, clock = look(block, self._word_order)
        if beat != self._plc_beat:
            self._plc_beat, self._heard_ns = beat, now_ns
        if epoch != self.epoch:
            self._meet(epoch, echo, head, tail)
            return []
        if echo != self.host_epoch:
            self._check_alone(echo)
            return []
        if not self.ready and not self._settle(head, tail):
            return []
        self._take_acknowledgement(taken)
        return self._reports(block, head, clock)

    def _meet(self, epoch: int, echo: int, head: int, tail: int) -> None:
        self.reused += epoch == self._met and (self._began_again or head < self.read)
        self._began_again = False
        self._odd_heads = 0
        self._met = self.epoch = epoch
        self.host_epoch = echo % _LOW + 1  # another than the last adapter's, never 0
        self.ready = False
        self.void += self.given - self.taken
        self.given = self.taken = 0
        self._block[_HEAD_BYTES:] = bytes(RING * _PLACE_BYTES)  # an old order's seq may be a new one's
        self.torn_reads = 0
        self._head_high = head >> 16
        self._start_at(head, tail)

    def _start_at(self, head: int, tail: int) -> None:
        # Until then the block says what the PLC says: another number might acknowledge what was never read.
        self.read = self.acknowledged = max(head - (head - tail & _LOW), 0)

    def _check_alone(self, echo: int) -> None:
        if echo == 0 and self.ready:  # no adapter has this one
            self.forget()
            self._began_again = True
            raise Garbled(f"the PLC began again in epoch {self._met}; {_NEW_EPOCH}")
        if echo != 0 and follows(echo, self.host_epoch):
            self.forget()
            raise Refused(
                f"another adapter has taken this PLC over (host epoch {echo}, ours was {self.host_epoch}); "
                "let only one plc-adapter run for a line",
                Cause.OUSTED,
            )
        if self.ready:
            self.forget()
            raise Garbled(
                f"the PLC went back from host epoch {self.host_epoch} to {echo}; "
                "let its program take over none that is older than the one it has"
            )

    def _settle(self, head: int, tail: int) -> bool:
        # Two reads must agree on head's high word, or a read torn at a carry would misnumber all reports.
        self.ready = head >> 16 == self._head_high
        self._head_high = head >> 16
        if self.ready:
            self._start_at(head, tail)
        return self.ready

    def _take_acknowledgement(self, taken: int) -> None:
        open_orders = self.given - taken & _LOW
        if open_orders > self.given - self.taken:
            self._began_again = taken == 0
            self.forget()
            raise Garbled(
                f"the PLC says it took order {taken}, but orders {self.taken + 1 & _LOW} to "
                f"{self.given & _LOW} are open; `taken` is the low word of the last order it took"
            )
        for number in range(self.taken + 1, self.given - open_orders + 1):  # a PLC that forgets takes none twice
            self._block[_place(number) : _place(number) + _PLACE_BYTES] = bytes(_PLACE_BYTES)
        self.taken = self.given - open_orders

    def _reports(self, block: bytes, head: int, clock: int) -> list[Report]:
        first = self._first_unread(head)
        reports: list[Report] = []
        for number in range(first, head + 1):
            seq, kind, item, point, value, stamp, seq_copy = _REPORT.unpack_from(block, _place(number))
            if not seq == seq_copy == number & _LOW:
                self.torn_reads += 1
                return reports
            reports.append(Report(number, kind, self._u32(item), point, value, clock - stamp & _LOW))
            self.read = number
        self.torn_reads = 0
        return reports

    def _first_unread(self, head: int) -> int:
        unread = head - self.read
        self._odd_heads = self._odd_heads + 1 if abs(unread) > 0x8000 else 0
        if 0 < self._odd_heads < ODD_HEADS_MAX:  # as when head's two words were read at different moments
            return head + 1
        self._odd_heads = 0
        if unread < 0:
            self.forget()
            raise Garbled(f"the PLC's head went back from {self.read} to {head} within epoch {self._met}; {_NEW_EPOCH}")
        if head - self.acknowledged > RING:
            self.overruns += 1
            skipped = max(unread - RING, 0)
            self.lost += skipped
            self.read += skipped
        return self.read + 1


class PlcSide:
    """The PLC's end, as a PLC program has to do it: gives reports, reads orders."""

    def __init__(self, epoch: int, word_order: WordOrder = "big") -> None:
        self.host_epoch = 0
        self.host_state = HostState.AWAY
        self.ignored = 0  # blocks that were no mailbox or spoke to another epoch
        self._u32 = _same if word_order == "big" else _swapped
        self._block = bytearray(BLOCK_BYTES)
        self._beat = 0
        self._host_beat = -1
        self._heard_ns = 0
        self.restart(epoch)

    def restart(self, epoch: int) -> None:
        """Begin a new epoch: all reports and orders of the last one are void."""
        if not 0 < epoch <= NUMBER_MAX:
            raise ValueError(f"epoch {epoch} is not between 1 and {NUMBER_MAX}")
        self.epoch = epoch
        self.head = 0  # number of the last report
        self.tail = 0  # number of the last report the host acknowledged
        self.taken = 0  # number of the last order taken

    @property
    def room(self) -> int:
        """How many reports fit into the ring now."""
        return RING - (self.head - self.tail)

    def report(self, kind: int, item: int, point: int, value: int, at_ms: int) -> bool:
        """Put a report into the ring. False: no room now, keep it and try again.

        `at_ms` is when it happened on the clock given to `block`; only its low word counts.
        """
        if self.room <= 0:
            return False
        if self.head == NUMBER_MAX:
            raise ValueError(f"epoch {self.epoch} has used all its {NUMBER_MAX} numbers; begin a new epoch")
        self.head += 1
        seq = self.head & _LOW
        _REPORT.pack_into(self._block, _place(self.head), seq, kind, self._u32(item), point, value, at_ms & _LOW, seq)
        return True

    def host_silent_ns(self, now_ns: int) -> int:
        """How long ago the host's heartbeat last changed; as long as `now_ns` before it was ever heard."""
        return now_ns - self._heard_ns

    def block(self, clock_ms: int, line_state: LineState = LineState.RUNNING) -> bytes:
        """The block the host reads. Each call is a heartbeat: call it once a scan cycle or once a read."""
        u32 = self._u32
        self._beat = self._beat + 1 & _LOW
        low = (self.tail & _LOW, self.taken & _LOW, line_state, clock_ms & _LOW)
        _PLC_HEAD.pack_into(
            self._block, 0, u32(MARK), u32(self.epoch), self.host_epoch, self._beat, u32(self.head), *low
        )
        return bytes(self._block)

    def receive(self, block: bytes, now_ns: int) -> list[Told]:
        """The orders that are new in the host's block."""
        if len(block) != BLOCK_BYTES:
            self.ignored += 1
            return []
        mark, epoch, host_epoch, beat, head, tail, state = _HOST_HEAD.unpack_from(block)
        if self._u32(mark) != MARK or self._u32(epoch) != self.epoch or host_epoch == 0:
            self.ignored += 1
            return []
        if self.host_epoch != 0 and follows(self.host_epoch, host_epoch):
            self.ignored += 1  # from an adapter whose place another has taken
            return []
        if host_epoch != self.host_epoch:
            self.host_epoch, self.taken = host_epoch, 0
            head = 0  # what stands in the ring may be another adapter's
        if beat != self._host_beat:
            self._host_beat, self._heard_ns = beat, now_ns
        self.host_state = HostState.DECIDING if state == HostState.DECIDING else HostState.AWAY
        acknowledged = tail - self.tail & _LOW
        if acknowledged <= self.head - self.tail:
            self.tail += acknowledged
        return self._orders(block, head)

    def _orders(self, block: bytes, head: int) -> list[Told]:
        told: list[Told] = []
        for _ in range(min(head - self.taken & _LOW, RING)):
            number = self.taken + 1
            seq, item, chute, alternate, left_ms, reason, seq_copy = _ORDER.unpack_from(block, _place(number))
            if not seq == seq_copy == number & _LOW:
                break
            told.append(Told(self._u32(item), chute, alternate, left_ms, reason))
            self.taken = number
        return told


def no_mark(mark: int, word_order: WordOrder) -> str:
    """Why a block that begins with the u32 `mark` (read high word first) is no mailbox, in words."""
    other = "little" if word_order == "big" else "big"
    if mark == 0:
        return "the registers are 0: the PLC's mailbox program does not run, or the address is wrong"
    if {mark, _swapped(mark)} == {MARK, _swapped(MARK)}:
        return f'the PLC\'s words are in the other order; set word_order = "{other}"'
    if mark.to_bytes(4, "big") in (_bytes_swapped(MARK), _bytes_swapped(_swapped(MARK))):
        return "the PLC swaps the bytes of each word; set its Modbus server to high byte first"
    if mark >> 16 == MARK >> 16 or mark & _LOW == MARK >> 16:
        return f"the PLC speaks another layout (mark {mark:#010x}); this adapter speaks {MARK:#010x}"
    return f"the registers begin with {mark:#010x}, not with the mark {MARK:#010x}: the address is wrong"


def _bytes_swapped(value: int) -> bytes:
    data = value.to_bytes(4, "big")
    return bytes((data[1], data[0], data[3], data[2]))
