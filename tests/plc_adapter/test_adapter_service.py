"""The whole adapter on real sockets: a Modbus PLC on one side, a ROUTER on the other, each dying in turn."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from plc_adapter import runner as running
from plc_adapter.mailbox import PlcSide
from tests.patience import PATIENCE_S, until
from tests.plc_adapter.modbus_plc import ModbusPlc
from tests.plc_adapter.one_line_adapter import Hall, Items
from tests.plc_adapter.router_daemon import RouterDaemon


def test_every_item_is_counted_once_and_diverted_once(daemon: RouterDaemon) -> None:
    async def check() -> None:
        hall = Hall(daemon)
        await hall.start()
        await hall.items.bring(300)
        await hall.check()
        await hall.stop()
        await hall.plc.stop()

    asyncio.run(check())


def test_a_daemon_that_dies_and_returns_costs_nothing(daemon: RouterDaemon) -> None:
    async def check() -> None:
        hall = Hall(daemon)
        await hall.start()
        await hall.items.bring(50)
        await until(lambda: bool(hall.on_disk))
        daemon.stop()
        await hall.items.bring(50)
        daemon.start()
        await hall.items.bring(50)
        await until(lambda: hall.on_disk == list(range(1, 151)))
        await hall.stop()
        await hall.plc.stop()

    asyncio.run(check())


def test_a_plc_whose_network_dies_and_returns_costs_nothing(daemon: RouterDaemon) -> None:
    async def check() -> None:
        hall = Hall(daemon)
        await hall.start()
        await hall.items.bring(50)
        await hall.plc.stop()
        await until(lambda: any("the PLC is away" in words for words in hall.told.words))
        await hall.plc.start()
        await hall.items.bring(50)
        await hall.check()
        await hall.stop()
        await hall.plc.stop()

    asyncio.run(check())


def test_an_adapter_that_is_started_again_costs_nothing(daemon: RouterDaemon) -> None:
    async def check() -> None:
        hall = Hall(daemon)
        for _ in range(3):
            await hall.start()
            await hall.items.bring(40)
            await hall.check()
            await hall.stop()
        assert daemon.disk.boots == [7]
        await hall.plc.stop()

    asyncio.run(check())


def test_of_two_adapters_the_later_drives_until_it_ends_and_the_first_goes_on(daemon: RouterDaemon) -> None:
    async def check() -> None:
        first, second = Hall(daemon), Hall(daemon)
        second.plc = first.plc

        await first.start()
        await first.items.bring(20)
        await second.start()
        taken_over = "another adapter has taken this PLC over"
        while not any(taken_over in words for words in first.told.words):
            await first.items.bring(5)
            await asyncio.sleep(0.01)
        await asyncio.sleep(3 * running.RIVAL_SILENT_S)
        await first.items.bring(20)
        assert not any(taken_over in words for words in second.told.words)
        await second.stop()
        await first.items.bring(20)
        await until(lambda: first.on_disk == list(range(1, first.items.reported + 1)))
        told = [told.item for told in first.plc.told]
        assert len(told) == len(set(told))
        await first.stop()
        await first.plc.stop()

    asyncio.run(check())


SITE = """
[wire]
devices = "{devices}"
[line.L1]
[plc.L1]
host = "127.0.0.1"
port = {port}
"""

COMMAND = [sys.executable, "-c", "from plc_adapter.cli import main; main()"]


def call(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=60, check=False)


def site_of(folder: Path, devices: str, port: int) -> str:
    (folder / "site.toml").write_text(SITE.format(devices=devices, port=port), encoding="utf-8")
    return str(folder)


def test_run_carries_and_ends_cleanly_on_sigterm(daemon: RouterDaemon, tmp_path: Path) -> None:
    async def check() -> None:
        plc = ModbusPlc(PlcSide(7), time.monotonic_ns)
        await plc.start()
        site = site_of(tmp_path, daemon.address, plc.port)
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "run", "--site", site, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        await Items(plc.plc).bring(100)
        await until(lambda: len(plc.told) == 100)
        process.send_signal(signal.SIGTERM)
        out, log = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert process.returncode == os.EX_OK
        assert json.loads(out)["lines"]["L1"]["reports"] == 100
        whats = [json.loads(line)["what"] for line in log.decode().splitlines()]
        assert whats[0] == "started"
        assert whats[-1] == "stopped"
        await plc.stop()

    asyncio.run(check())


def test_exit_codes_tell_usage_from_refusal(tmp_path: Path) -> None:
    assert call("run", "--site", str(tmp_path / "nowhere")).returncode == 3
    site = site_of(tmp_path, "tcp://127.0.0.1:1", 1)
    unknown = call("probe", "--site", site, "--line", "L9")
    assert (unknown.returncode, "L9 has no [plc.L9]; there are: L1" in unknown.stderr) == (2, True)
    (tmp_path / "site.toml").write_text('[wire]\nkeys = "keys"\n[line.L1]\n[plc.L1]\nhost = "127.0.0.1"\n')
    no_key = call("run", "--site", site)
    assert (no_key.returncode, "plc-L1.secret" in no_key.stderr, "Traceback" in no_key.stderr) == (3, True, False)
    clock = call("run", "--site", site, "--clock", "noon")
    assert (clock.returncode, "is not a clock" in clock.stderr) == (2, True)


def test_the_emulator_is_named_and_not_loaded() -> None:
    help_ = call("--help")
    assert all(name in help_.stdout for name in ("audit", "emulate", "probe", "run", "traffic"))
    loaded = "import sys, plc_adapter.cli, plc_adapter.service; print([m for m in sys.modules if 'emulator' in m])"
    out = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
    assert call("traffic", "--help").returncode == 0
