"""A hub on disk as `sorter run` finds it: tables, site.toml, and a journal that holds every advice. And its daemon."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench import workload
from bench.tables import LINE_NAME, make_hub
from sorter import publishing
from sorter.ledger.journal import Journal
from sorter.records import plan_to_bytes
from sorter.replay import Standing
from sorter.site import FILE_NAME, Site, load

READY_S: Final = 180.0  # with kernels to compile
STOP_S: Final = 90.0
_TOML: Final = """\
name = "bench"
[wire]
devices = "tcp://127.0.0.1:{devices}"
control = "tcp://127.0.0.1:{control}"
live = "tcp://127.0.0.1:{live}"
[line.{line}]
speed_m_s = 2.0
lap_m = 480.0
scanner_to_divert_m = 30.0
timeout_s = 900.0
"""


class NotReady(RuntimeError):
    """A process that a benchmark needs did not start, or ended."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in sockets]


def make_site(folder: Path, rules: int, advices: int) -> Site:
    """A site whose daemon has taken so many advices already. Chutes never fill: see bench/README.md."""
    _, sort_plan = make_hub(folder / "rules", rules, roomy=True)
    devices, control, live = free_ports(3)
    text = _TOML.format(devices=devices, control=control, live=live, line=LINE_NAME)
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    site = load(folder)
    standing = Standing()
    journal = Journal.open(site.ledger, owner="bench")
    try:
        journal.append_plan(1, plan_to_bytes(sort_plan))
        standing.take_plan(1, sort_plan)
        for batch in [workload.opening()[0], *workload.advices(advices)]:
            first_seq = standing.next_seq
            journal.append_batch(first_seq, batch, standing.take(batch))
        journal.sync()
    finally:
        journal.close()
    publishing.publish(site, publishing.Order("bench", "the plan of the journal", lambda: workload.START_NS))
    return site


class Daemon(NamedTuple):
    """A daemon that is ready."""

    site: Site
    pid: int
    start_s: float  # from its start to ready

    def settle(self) -> None:
        """Wait until its projection has caught up, so that it disturbs only the daemon it belongs to."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split()
        before = -1
        while (now := sum(map(_ticks, children))) > before + 1:
            before = now
            time.sleep(0.3)


def _ticks(pid: str) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@contextmanager
def running(site: Site) -> Iterator[Daemon]:
    """The daemon of a site as a process, on a clock that stands at 09:00 of the workload's day as it starts."""
    log = site.folder / "daemon.log"
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        address = site.folder / "notify"
        address.unlink(missing_ok=True)
        listener.bind(str(address))
        listener.settimeout(READY_S)
        errors = stack.enter_context(log.open("ab"))
        begin_ns = time.time_ns()
        process = subprocess.Popen(
            [program("sorter"), "run", "--site", str(site.folder), "--clock", f"{workload.START},1,{begin_ns}"],
            stderr=errors,
            env=os.environ | {"NOTIFY_SOCKET": str(address)},
        )
        try:
            _await_ready(listener, process, log)
            start_s = (time.time_ns() - begin_ns) / 1e9
            threading.Thread(target=_drain, args=(listener,), daemon=True).start()
            yield Daemon(site, process.pid, start_s)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(STOP_S)
    if code != 0:
        raise NotReady(f"the daemon ended with exit code {code}:\n{log.read_text(encoding='utf-8')[-2000:]}")


def _await_ready(listener: socket.socket, process: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + READY_S
    listener.settimeout(0.1)
    while time.monotonic() < end_s and process.poll() is None:
        try:
            if listener.recv(200) == b"READY=1":
                return
        except TimeoutError:
            continue
    raise NotReady(f"the daemon was not ready within {READY_S:.0f} s:\n{log.read_text(encoding='utf-8')[-2000:]}")


def _drain(listener: socket.socket) -> None:
    """Read the watchdog's beats until the listener is closed: a full queue would hold up the daemon."""
    listener.settimeout(None)
    try:
        while listener.recv(200):
            pass
    except OSError:
        return


def program(name: str) -> str:
    """The path of a program that stands beside this Python."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


@contextmanager
def echoing(file: Path | None = None) -> Iterator[str]:
    """A bare echo as a process, with `file` after an fdatasync of each gathering; yields its address."""
    address = f"tcp://127.0.0.1:{free_ports(1)[0]}"
    process = subprocess.Popen([sys.executable, "-m", "bench.echo", address, *([str(file)] if file else [])])
    try:
        yield address
    finally:
        process.kill()
        process.wait()
