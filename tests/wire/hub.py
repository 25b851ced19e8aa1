"""A small, obvious daemon for the tests of the wire: a number counts once, and is on disk before it is answered.

As a process: `python hub.py ADDRESS FILE`. FILE gets a line for every row accepted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import zmq

from sorter.records import NONE_8, Kind, Names, Role
from sorter.wire import frames
from sorter.wire.endpoints import Frame, Router
from sorter.wire.frames import Ack, AnyMessage, Divert, Hello, Malformed, Ping, Pong, Refuse, Welcome
from sorter.wire.intake import Intake
from sorter.wire.keys import allows

NAMES = Names(
    carriers=("zto", "yto"),
    stations=("S1", "S2", "S3"),
    townships=("T",),
    services=("std", "cold"),
    lanes=("bus1", "bus2"),
    lines=("L1", "L2"),
    chutes=(101, 102, 201),
    carrier_titles=("中通", "圆通"),
    station_titles=("1", "2", "3"),
    station_townships=(0, 0, 0),
    lane_titles=("1", "2"),
    lane_kinds=("bus", "bus"),
)


class Wire(Protocol):
    """What a hub needs of a router; Router and made-up ones have it."""

    def poll(self, timeout_ms: int) -> bool: ...
    def receive(self, limit: int) -> list[Frame]: ...
    def send(self, peer: bytes, data: bytes) -> bool: ...


class Speaker(NamedTuple):
    name: str
    client: int
    role: Role
    line: int


class Hub:
    """One turn: receive what has come, judge each row by its number, write, answer."""

    def __init__(self, router: Wire, file: Path | None = None) -> None:
        self.router, self.file = router, file
        self.intake = Intake(NAMES)
        self.speakers: dict[bytes, Speaker] = {}
        self.last: dict[int, tuple[int, int]] = {}  # client index -> boot, last number
        self.index: dict[str, int] = {}
        self.accepted: list[tuple[int, int, int, int]] = []  # client, kind, seq, item
        if file and file.exists():
            whole, _, _torn = file.read_bytes().rpartition(b"\n")
            os.truncate(file, len(whole) + 1 if whole else 0)
            for line in whole.decode().splitlines():
                self._settle(*line.split())

    def turn(self, timeout_ms: int = 0) -> None:
        self.router.poll(timeout_ms)
        answers: list[tuple[bytes, AnyMessage]] = []
        arrived = self.router.receive(64)
        for frame in arrived:
            try:
                messages = frames.decode(frame.data)
            except Malformed as error:
                answers.append((frame.peer, error.refuse()))
                continue
            for message in messages:
                answer = self._take(frame, message)
                if answer:
                    answers.append((frame.peer, answer))
        refused = self._step()
        answers += [(peer, refuse) for peer, refuse in refused if self.speakers.get(peer)]
        for peer, answer in answers:
            self.router.send(peer, frames.encode(answer))
        for peer in {frame.peer for frame in arrived} & self.speakers.keys():
            self.router.send(peer, frames.encode(Ack(seq=self.last[self.speakers[peer].client][1])))

    def divert(self, line: str, item: int) -> bool:
        data = frames.encode(Divert(line=line, item=item, chute=101, reason="planned"))
        index = NAMES.lines.index(line)
        sent = [self.router.send(p, data) for p, s in self.speakers.items() if s.role == Role.PLC and s.line == index]
        return any(sent)

    def _take(self, frame: Frame, message: AnyMessage) -> AnyMessage | None:
        if isinstance(message, Hello):
            return self._greet(frame, message)
        speaker = self.speakers.get(frame.peer)
        if speaker is None:
            return Refuse(error="unknown_client", detail="say hello first")
        if isinstance(message, Ping) and not message.seq:
            return Pong(t_ns=message.t_ns)
        line = "" if speaker.line == NONE_8 else NAMES.lines[speaker.line]
        denied = allows(frame.key, speaker.role, line)
        return denied or self.intake.take(message, speaker.client, speaker.role, speaker.line, 1, 0)

    def _greet(self, frame: Frame, hello: Hello) -> AnyMessage:
        role = frames.ROLES[hello.role]
        index = self.index.setdefault(hello.client, len(self.index) + 1)
        refuse = allows(frame.key, role, hello.line) or self.intake.hello(hello, index, 1)
        if refuse:
            return refuse
        line = NAMES.lines.index(hello.line) if hello.line else NONE_8
        self.speakers[frame.peer] = Speaker(hello.client, index, role, line)
        known = self.last.get(index)
        seq = known[1] if known and known[0] == hello.boot else hello.seq - 1
        return Welcome(plan=1, t_ns=1, seq=seq)

    def _step(self) -> list[tuple[bytes, Refuse]]:
        refused = []
        lines = []
        names = {index: name for name, index in self.index.items()}
        peers = {speaker.client: peer for peer, speaker in self.speakers.items()}
        for row in self.intake.batch().events:
            client, seq, kind = int(row["client"]), int(row["seq"]), int(row["kind"])
            boot, last = self.last.get(client, (0, 0))
            if kind != Kind.HELLO and seq > last + 1:
                refused.append((peers[client], Refuse(error="gap", seq=seq)))
            if kind == Kind.HELLO or seq == last + 1:
                number = int(row["boot"]) if kind == Kind.HELLO else boot
                line = (names[client], client, kind, number, seq, int(row["item"]))
                lines.append(" ".join(map(str, line)))
                self._settle(*line)
        self.intake.clear()
        if self.file and lines:
            with self.file.open("a") as file:
                file.write("\n".join([*lines, ""]))
                file.flush()
                os.fsync(file.fileno())
        return refused

    def _settle(self, name: str, *numbers: Any) -> None:
        client, kind, boot, seq, item = map(int, numbers)
        self.index[name] = client
        if kind == Kind.HELLO:
            if self.last.get(client, (None, 0))[0] != boot:
                self.last[client] = (boot, seq - 1)
            return
        self.last[client] = (boot, seq)
        self.accepted.append((client, kind, seq, item))


def main(address: str, file: str) -> None:
    hub = Hub(Router(address, name="devices", context=zmq.Context()), Path(file))
    while True:
        hub.turn(200)


if __name__ == "__main__":
    main(*sys.argv[1:])
