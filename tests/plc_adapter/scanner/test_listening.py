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
from plc_adapter.scanner.telegram import Units
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
        ("dws", b"98119,3190,300,200,100,6000,0", None, '98119; 300 x 200 x 100 mm; weight: "3190" kg is beyond'),
        ("dws", b"98119,\x01", "98119,\\x01", "not understood: 2 fields, the template has 7"),
        ("hikrobot", b'{"type":9000}', None, "it is alive; no parcel"),
    ],
)
def test_a_telegram_beside_its_meaning(maker: str, telegram: bytes, raw: str | None, meaning: str) -> None:
    weights = {"weight_unit": "kg"} if maker == "dws" else {}
    reader = resolve({"line": "L1", "maker": maker, "host": "10.0.0.7", "port": 2112, **weights})
    told = heard(telegram, reader, telegram + b"\r\n", Units())
    assert told.raw == (raw or telegram.decode()) + "\\r\\n"
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
            for weight in (b"45.5", b"1250.5", b"45.5"):
                scale.sendall(b"98119," + weight + b",300,200,100,6000,0\r\n")
                shown.append(json.loads(await process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
        server.close()
        for writer in writers:
            writer.close()
            await writer.wait_closed()
        return shown

    first, doubted, second, third = asyncio.run(check())
    assert first == {"reader": "top", "raw": "\\x02YT1234567890123\\x03", "meaning": "YT1234567890123"}
    assert 'weight: "45.5" with unit g is left out until 50 or more comes' in doubted["meaning"]
    assert (second["reader"], second["meaning"]) == ("scale", "98119; 1250 g; 300 x 200 x 100 mm")
    assert third["meaning"] == "98119; 46 g; 300 x 200 x 100 mm"  # the scale has shown that it weighs in g
    assert second["raw"].endswith(",0\\r\\n")


def test_what_ends_no_telegram_is_shown_with_the_framing_that_it_looks_like(site: Path) -> None:
    """The scale is set to lines; what connects frames its telegrams with STX and ETX."""
    told = json.loads(CliRunner().invoke(main, ["scanner", "--site", str(site), "--json"]).output)
    command = [sys.executable, "-m", "plc_adapter.cli", "scanner", "--listen", "--site", str(site), "--name", "scale"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"nobody has connected" in process.stderr.readline()
        with socket.create_connection(("127.0.0.1", told["scale"]["port"])) as reader:
            for _ in range(2):
                reader.sendall(b"\x027700000000000\x03")
                shown = process.stdout.readline().decode()
                assert shown == (
                    'scale  \\x027700000000000\\x03  15 bytes and no end of framing "lf"; '
                    'they look like framing = "stx_etx"\n'
                )
            reader.sendall(b"x" * 300)
            assert f"scale  {'x' * 200}…  300 bytes" in process.stdout.readline().decode()
        process.send_signal(signal.SIGTERM)
        process.communicate()
        assert process.returncode == 0


def test_a_site_without_readers_says_so(site: Path) -> None:
    bare = (site / "site.toml").read_text(encoding="utf-8").split("[tracking.L1]")[0]
    (site / "site.toml").write_text(bare, encoding="utf-8")
    shown = CliRunner().invoke(main, ["scanner", "--site", str(site)])
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert "there is no [scanner.NAME] section; add one" in shown.stderr
    listening = CliRunner().invoke(main, ["scanner", "--site", str(site), "--listen", "--json"])
    assert (listening.exit_code, listening.stdout) == (1, "")
    assert "there is no [scanner.NAME] section; add one" in listening.stderr
    as_json = CliRunner().invoke(main, ["scanner", "--site", str(site), "--json"])
    assert (as_json.exit_code, as_json.output) == (0, "{}\n")
    named = CliRunner().invoke(main, ["scanner", "--site", str(site), "--name", "top"])
    assert named.exit_code == 2
    assert "top has no [scanner.top]; there are: none" in named.output


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
    assert "[scanner.scale] 127.0.0.1:" in taken.stderr
    assert "cannot be listened at: another program does, such as plc-adapter run" in taken.stderr
    assert "Errno" not in taken.stderr
    assert "Traceback" not in taken.stderr


def test_a_port_that_is_taken_costs_no_other_reader(site: Path) -> None:
    told = json.loads(CliRunner().invoke(main, ["scanner", "--site", str(site), "--json"]).output)
    command = [sys.executable, "-m", "plc_adapter.cli", "scanner", "--listen", "--site", str(site)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with (
        socket.create_server(("127.0.0.1", told["scale"]["port"])),
        socket.create_server(("127.0.0.1", told["top"]["port"])) as top,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        connection, _ = top.accept()
        with connection:
            while "error: [scanner.scale]" not in process.stderr.readline():
                assert process.poll() is None
            connection.sendall(b"\x02YT1234567890123\x03")
            assert process.stdout.readline() == "top  \\x02YT1234567890123\\x03  YT1234567890123\n"
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert process.returncode == 1
