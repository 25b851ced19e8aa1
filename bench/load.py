"""A line as the daemon sees it: a scanner and a PLC on real sockets, with frames encoded beforehand."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import zmq

from bench.measure import NS_PER_S
from bench.tables import LINE_NAME
from sorter.records import Batch
from sorter.wire import frames
from sorter.wire.endpoints import Context, Socket, dealer
from sorter.wire.frames import Ack, Discharge, Divert, Hello, RoleWord, Scan, Welcome

PATIENCE_MS: Final = 10_000
TOGETHER: Final = 512  # discharges in one frame
BURST: Final = 32  # frames sent before looking for answers

_DIVERTS: Final = msgspec.msgpack.Decoder(Divert | list[Divert])


class Stalled(RuntimeError):
    """The other side stopped answering."""


def scan_frames(scans: Batch, together: int) -> list[bytes]:
    """One frame for every so many scans, numbered by the events' own numbers."""
    messages = [_scan(event, code) for event, code in zip(scans.events, scans.codes, strict=True)]
    return [frames.encode(*messages[at : at + together]) for at in range(0, len(messages), together)]


def _scan(event: Any, code: Any) -> Scan:
    length_mm = float(event["length_mm"])
    return Scan(
        seq=int(event["seq"]),
        item=int(event["item"]),
        codes=[bytes(code[1 : 1 + code[0]]).decode()],
        weight_g=float(event["weight_g"]) or None,
        size_mm=(length_mm, min(length_mm, 300.0), min(length_mm, 200.0)) if length_mm else None,
        induct=1,
    )


class Answer(NamedTuple):
    """One divert, as far as it does not depend on when the daemon looked."""

    item: int
    row: int


class Line:
    """A scanner and a PLC of one line, known to a daemon. Every item drops where it is told."""

    def __init__(self, context: Context, address: str) -> None:
        self.scanner = _device(context, address, "scanner")
        self.plc = _device(context, address, "plc")
        self.answers: list[Answer] = []
        self._discharges = 0

    def exchange(self, sent: Sequence[bytes], each: int, first_seq: int, window: int) -> float:
        """Scans a second for frames of `each` scans numbered from `first_seq`, until every divert and ack is here.

        Behind the clock, every item is discharged.
        """
        told: list[bytes] = []
        diverts = acked = 0

        def look() -> int:
            nonlocal diverts, acked
            for data in arrived(self.scanner):
                acked = acknowledged(data) - first_seq + 1
            for data in arrived(self.plc):
                told.append(data)
                diverts += count(data)
            return min(diverts, acked)

        rate = pump((self.scanner, self.plc), sent, each, window, look)
        taken = [each for data in told for each in self.take(data)]
        for at in range(0, len(taken), TOGETHER):
            self.discharge(taken[at : at + TOGETHER])
        while acknowledged(_next(self.plc)) < self._discharges:
            pass
        return rate

    def take(self, data: bytes) -> list[Divert]:
        """The diverts of a frame to the PLC, noted as answers."""
        found = _DIVERTS.decode(data)
        diverts = found if isinstance(found, list) else [found]
        self.answers += [Answer(each.item, each.row) for each in diverts]
        return diverts

    def discharge(self, diverts: Sequence[Divert]) -> None:
        """Report items as dropped, in one frame."""
        first = self._discharges + 1
        self._discharges += len(diverts)
        messages = [
            Discharge(seq=seq, item=each.item, chute=each.chute, outcome="dropped")
            for seq, each in enumerate(diverts, first)
        ]
        self.plc.send(frames.encode(*messages))

    def close(self) -> None:
        """Close both sockets."""
        self.scanner.close()
        self.plc.close()


def pump(sockets: Sequence[Socket], sent: Sequence[bytes], each: int, window: int, look: Callable[[], int]) -> float:
    """Send frames of `each` scans through the first socket, at most `window` scans unanswered; scans a second.

    `look` takes what has arrived and returns how many scans are answered. Raises Stalled.
    """
    at = done = 0
    begin_ns = time.perf_counter_ns()
    while done < len(sent) * each:
        before = at, done
        at = _burst(sockets[0], sent, at, min(len(sent), (done + window) // each, at + BURST))
        done = look()
        if (at, done) == before and not zmq.zmq_poll([(one, zmq.POLLIN) for one in sockets], PATIENCE_MS):
            raise Stalled(f"{done} of {len(sent) * each} scans were answered, then nothing came for 10 s")
    return len(sent) * each * NS_PER_S / (time.perf_counter_ns() - begin_ns)


def _burst(socket: Socket, sent: Sequence[bytes], at: int, end: int) -> int:
    try:
        while at < end:
            socket.send(sent[at], zmq.DONTWAIT)
            at += 1
    except zmq.Again:
        pass
    return at


def arrived(socket: Socket) -> Iterator[bytes]:
    """Every frame that has arrived; never waits."""
    try:
        while True:
            yield socket.recv(zmq.DONTWAIT)
    except zmq.Again:
        return


def count(data: bytes) -> int:
    """How many messages a frame holds, by its head."""
    if data[0] == 0xDC:
        return int.from_bytes(data[1:3], "big")
    return data[0] & 0x0F if 0x90 <= data[0] <= 0x9F else 1


def is_ack(data: bytes) -> bool:
    """Whether a frame to the PLC acknowledges, and orders nothing."""
    return isinstance(frames.decode(data)[0], Ack)


def acknowledged(data: bytes) -> int:
    """The number up to which a frame acknowledges. Raises Stalled for anything but an ack."""
    message = frames.decode(data)[0]
    if not isinstance(message, Ack):
        raise Stalled(f"the daemon answers {message}")
    return message.seq


def _device(context: Context, address: str, role: RoleWord) -> Socket:
    device = dealer(context, None)
    device.connect(address)
    if not device.poll(PATIENCE_MS, zmq.POLLOUT):
        raise Stalled(f"nobody listens at {address}")
    device.send(frames.encode(Hello(role=role, client=f"bench-{role}", boot=time.time_ns(), line=LINE_NAME)))
    answer = frames.decode(_next(device))[0]
    if not isinstance(answer, Welcome):
        raise Stalled(f"the daemon answers {answer} to hello")
    return device


def _next(socket: Socket) -> bytes:
    if not socket.poll(PATIENCE_MS):
        raise Stalled("no answer came for 10 s")
    return socket.recv()
