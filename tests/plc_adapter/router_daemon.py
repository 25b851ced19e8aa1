"""The tests' daemon behind a real ROUTER, in a thread: every item is diverted, all is on disk at once."""

import threading
import time

import zmq

from sorter.wire import frames
from sorter.wire.endpoints import Router
from sorter.wire.frames import Ack, AnyMessage, Divert, Hello, Item
from tests.plc_adapter.one_line_daemon import OneLineDaemon


class RouterDaemon:
    """Start and stop it as often as you like: what it has on disk stays."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.disk = OneLineDaemon(time.time_ns)
        self._boots: dict[bytes, int] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        router = Router(self.address, name="devices", context=context)
        while not self._stop.is_set():
            router.poll(20)
            for frame in router.receive(64):
                answers = self._answers(frame.peer, frames.decode(frame.data))
                if answers:
                    router.send(frame.peer, frames.encode(*answers))
        router.close()
        context.term()

    def _answers(self, peer: bytes, messages: list[AnyMessage]) -> list[AnyMessage]:
        answers: list[AnyMessage] = []
        for message in messages:
            if isinstance(message, Hello):
                self._boots[peer] = message.boot
            if peer not in self._boots:
                return [frames.Refuse(error="unknown_client", detail="say hello first")]
            new = len(self.disk.journal)
            answers += self.disk.receive(self._boots[peer], message)
            if isinstance(message, Item) and len(self.disk.journal) > new:
                answers.append(
                    Divert(
                        line="L1", item=message.item, chute=101, reason="planned", deadline_ns=time.time_ns() + 10**10
                    )
                )
        return [*answers, Ack(seq=self.disk.last[self._boots[peer]])]
