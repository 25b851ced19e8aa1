"""What `plc-adapter scanner` shows: the settings a reader ends up with, and its telegrams beside their meaning."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from plc_adapter.cli import main
from plc_adapter.scanner.listening import heard
from plc_adapter.scanner.settings import resolve
from tests.system.hubs import free_port

SITE = """\
[line.L1]
[plc.L1]
host = "127.0.0.1"
[tracking.L1]
travel_ms = 900
[scanner.top]
line = "L1"
maker = "sick"
role = "client"
host = "127.0.0.1"
port = {port}
[scanner.scale]
line = "L1"
maker = "dws"
role = "server"
host = "127.0.0.1"
port = {other}
"""


@pytest.fixture(name="site")
def site_folder(tmp_path: Path) -> Path:
    port, other = free_port(), free_port()
    (tmp_path / "site.toml").write_text(SITE.format(port=port, other=other), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("maker", "telegram", "raw", "meaning"),
    [
        ("sick", b"YT1234567890123", "YT1234567890123", "YT1234567890123"),
        ("sick", b"NoRead", "NoRead", "a parcel, and no code read"),
        ("dws", b"98119,1.25,300,200,100,6000,0", None, "98119; 1250 g; 300 x 200 x 100 mm"),
        ("dws", b"98119,\x01", "98119,\\x01", "not understood: 2 fields, the template has 7"),
        ("hikrobot", b'{"type":9000}', None, "it is alive; no parcel"),
    ],
)
def test_a_telegram_beside_its_meaning(maker: str, telegram: bytes, raw: str | None, meaning: str) -> None:
    weights = {"weight_unit": "kg"} if maker == "dws" else {}
    reader = resolve({"line": "L1", "maker": maker, "host": "10.0.0.7", "port": 2112, **weights})
    told = heard(telegram, reader)
    assert told.raw == (raw or telegram.decode())
    assert told.meaning.startswith(meaning)
    assert bool(told.answer) == (maker == "hikrobot" and bool(reader.heartbeat_reply))


def test_all_settings_of_a_reader_are_shown(site: Path) -> None:
    shown = CliRunner().invoke(main, ["scanner", "--site", str(site)])
    assert shown.exit_code == 0, shown.output
    sections = tomllib.loads(shown.output)["scanner"]  # so that it can be pasted back
    assert list(sections) == ["top", "scale"]
    assert (sections["top"]["framing"], sections["top"]["line"]) == ("stx_etx", "L1")
    assert resolve(sections["scale"]) == resolve({**sections["scale"], "maker": "dws"})
    only = CliRunner().invoke(main, ["scanner", "--site", str(site), "--name", "top"])
    assert list(tomllib.loads(only.output)["scanner"]) == ["top"]
    told = json.loads(CliRunner().invoke(main, ["scanner", "--site", str(site), "--json"]).output)
    assert list(told) == ["top", "scale"]
    unknown = CliRunner().invoke(main, ["scanner", "--site", str(site), "--name", "side"])
    assert unknown.exit_code == 2
    assert "there are: top, scale" in unknown.output


def test_listening_shows_what_comes_on_both_roles(site: Path) -> None:
    """A process of its own, a reader that is connected to and one that connects."""
    told = json.loads(CliRunner().invoke(main, ["scanner", "--site", str(site), "--json"]).output)

    async def check() -> list[dict[str, str]]:
        writers: list[asyncio.StreamWriter] = []

        async def reader(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            writer.write(b"\x02YT1234567890123\x03")
            await writer.drain()

        server = await asyncio.start_server(reader, "127.0.0.1", told["top"]["port"])
        command = [sys.executable, "-m", "plc_adapter.cli", "scanner", "--listen", "--json", "--site", str(site)]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, env=environment)
        assert process.stdout is not None
        shown = [json.loads(await process.stdout.readline())]
        with socket.create_connection(("127.0.0.1", told["scale"]["port"])) as scale:
            scale.sendall(b"98119,1.25,300,200,100,6000,0\r\n")
            shown.append(json.loads(await process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
        server.close()
        for writer in writers:
            writer.close()
            await writer.wait_closed()
        return shown

    first, second = asyncio.run(check())
    assert first == {"reader": "top", "raw": "YT1234567890123", "meaning": "YT1234567890123"}
    assert (second["reader"], second["meaning"].split(";")[0]) == ("scale", "98119")


def test_a_reader_that_cannot_be_reached_is_told(site: Path) -> None:
    """Nobody answers where `top` should be; and where `scale` is to send, somebody else listens."""
    told = json.loads(CliRunner().invoke(main, ["scanner", "--site", str(site), "--json"]).output)
    command = [sys.executable, "-m", "plc_adapter.cli", "scanner", "--listen", "--site", str(site)]
    with subprocess.Popen([*command, "--name", "top"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate()
        assert process.returncode == 0
    assert "top: 127.0.0.1:" in first
    assert "accepts no connection" in first
    with socket.create_server(("127.0.0.1", told["scale"]["port"])):
        taken = subprocess.run([*command, "--name", "scale"], capture_output=True, text=True, check=False)
    assert taken.returncode == 1
    assert "cannot be listened at" in taken.stderr
    assert "Traceback" not in taken.stderr
