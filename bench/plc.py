"""The PLC of a benchmark: always another item at its sensor, and what is told a chute drops there at once.

Run as a process: `python -m bench.plc DIALECT PORT`. It is the emulator's real server of the dialect
before a belt that is never empty, and prints a line when it listens.
"""

import asyncio
import sys

from plc_adapter.emulator.line import face_of
from plc_adapter.emulator.plant import DROPPED, Belt, Entered, Left, Load, Plant
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.mailbox import RING
from plc_adapter.settings import DIALECTS, Plc
from sorter.clock import Clock


class FullBelt(Plant):
    """Items without end, each with the next number."""

    def __init__(self) -> None:
        super().__init__(Belt("bench", speed_m_s=2.0, lap_m=240.0), [], Load([], []), seed=1)
        self._entered = 0

    def advance(self, now_ns: int) -> None:
        """Have enough to report for the next exchange."""
        while len(self.plc) < RING:
            self._entered += 1
            self.plc.append(Entered(now_ns, self._entered, 1))

    def divert(self, item: int, chute: int, alternate: int, deadline_ns: int) -> None:
        """The item drops, whatever else could have been done with it."""
        del alternate, deadline_ns
        self.plc.append(Left(self.now_ns, item, chute, DROPPED))


def settings(dialect: str, port: int) -> Plc:
    """Where the PLC of a dialect is, all else as the dialect has it."""
    return DIALECTS[dialect](host="127.0.0.1", port=port)


async def serve(dialect: str, port: int) -> None:
    """Answer for ever."""
    clock = Clock()
    await face_of(PlcProgram(FullBelt()), settings(dialect, port), clock).start()
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
