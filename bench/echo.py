"""The other side of a ratio: a bare ROUTER that sends every frame back, with FILE after an fdatasync.

Run as a process: `python -m bench.echo ADDRESS [FILE]`. It decodes nothing and decides nothing.
"""

import os
import sys
from collections.abc import Callable, Sequence

import zmq

FRAMES_AT_ONCE = 2048
FILE_BYTES = 64 << 20


def serve(address: str, keep: Callable[[Sequence[bytes]], None]) -> None:
    """Send back what has gathered, once `keep` returned, for ever."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.router_mandatory = True
    router.bind(address)
    receive, send = router.recv, router.send
    while True:
        gathered = [receive(), receive()]
        try:
            for _ in range(FRAMES_AT_ONCE - 1):
                gathered += [receive(zmq.DONTWAIT), receive(zmq.DONTWAIT)]
        except zmq.Again:
            pass
        keep(gathered[1::2])
        for peer, data in zip(gathered[::2], gathered[1::2], strict=True):
            send(peer, zmq.SNDMORE)
            send(data)


def keep_on_disk(path: str) -> Callable[[Sequence[bytes]], None]:
    """Writes frames behind each other into a file that has its size already, and syncs its data."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    for at in range(0, FILE_BYTES, 1 << 20):
        os.pwrite(handle, bytes(1 << 20), at)
    os.fsync(handle)
    at = 0

    def keep(frames: Sequence[bytes]) -> None:
        nonlocal at
        data = b"".join(frames)
        os.pwrite(handle, data, at % (FILE_BYTES - len(data)))
        os.fdatasync(handle)
        at += len(data)

    return keep


if __name__ == "__main__":
    serve(sys.argv[1], keep_on_disk(sys.argv[2]) if len(sys.argv) > 2 else lambda _frames: None)
