"""One hub of real processes: a parcel's whole life, a daemon killed in the middle, orders, refusals."""

import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sorter.wire.client import Client, Divert
from tests.system.hubs import BIN, Hub, free_port

WAYBILL = "YT1234567890123"
OTHER = "YT1234567890124"
ADVICES = f"waybill,carrier,station,service,flow,weight_g\n{WAYBILL},YTO,V002,standard,inbound,800\n"
PATIENCE_S = 60.0


def until(found: Callable[[], Any]) -> Any:
    """What `found` gives as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        answer = found()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError("nothing came")


def divert(plc: Client) -> Divert:
    told: list[Divert] = until(lambda: plc.poll(0.1))
    return told[0]


def advise(hub: Hub, folder: Path) -> None:
    file = folder / "advices.csv"
    file.write_text(ADVICES, encoding="utf-8")
    assert hub.command("advice", "load", file) == {"accepted": 1, "refused": []}


def test_a_parcel_lives_through_a_kill(hub: Hub, tmp_path: Path) -> None:
    hub.start()
    advise(hub, tmp_path)
    with hub.client("plc", "plc-1") as plc, hub.client("scanner", "scanner-1") as scanner:
        plc.item(item=7, induct=2)
        plc.flush(PATIENCE_S)
        scanner.scan(item=7, codes=[WAYBILL], weight_g=812)
        scanner.flush(PATIENCE_S)
        told = divert(plc)
        assert told.item == 7

        hub.kill()
        plc.discharge(item=7, outcome="dropped", chute=told.chute)
        hub.start()
        plc.flush(PATIENCE_S)
        assert hub.order("status")["ended"]["planned"] == 1
    hub.stop()
    last = hub.log().rsplit("; state ", 1)[1].strip()

    found = hub.command("trace", WAYBILL)
    (item,) = found["items"]
    assert item["decision"]["chute"] == told.chute
    assert item["decision"]["reason"] == "planned"
    assert len(item["scans"]) == 1
    assert item["discharge"]["chute"] == told.chute
    assert hub.command("trace", OTHER, code=1)
    day = hub.command("report")
    assert day["inducted"] == sum(day["ended"].values()) + day["on_belt"] == 1
    proof = hub.command("replay")
    assert proof["differences"] == []
    assert proof["digest"] == last == hub.command("replay")["digest"]


def test_operators_are_obeyed_and_answered(hub: Hub, tmp_path: Path) -> None:
    hub.start()
    advise(hub, tmp_path)
    with hub.client("plc", "plc-1") as plc, hub.client("scanner", "scanner-1") as scanner:

        def scanned(item: int) -> Divert:
            scanner.scan(item=item, codes=[WAYBILL])
            scanner.flush(PATIENCE_S)
            return divert(plc)

        until(lambda: plc.poll(0.1) or plc.welcomed)
        first = scanned(1)
        hub.command("chute", "lock", str(first.chute))
        assert first.chute not in {scanned(item).chute for item in range(10, 18)}
        hub.command("chute", "unlock", str(first.chute))
        hub.command("intercept", "add", WAYBILL)
        assert scanned(3).reason == "intercept"
        hub.command("intercept", "remove", WAYBILL)
        assert scanned(4).reason == "planned"
    assert "no trip to send" in hub.command("trip", "send", "EXC-READ", code=3)
    assert "chute 9 is not in the sort plan" in hub.command("chute", "lock", "9", code=3)
    wrong = hub.command("intercept", "add", "nonsense", code=3)
    assert wrong["accepted"] == 0
    hub.stop()


def test_prometheus_is_answered_beside_the_daemon(hub: Hub) -> None:
    hub.start()
    address = f"127.0.0.1:{free_port()}"
    exporter = subprocess.Popen([BIN / "sorter", "metrics", "--site", hub.folder, "--listen", address])
    try:
        told = until(lambda: scraped(address))
    finally:
        exporter.kill()
        exporter.wait()
    assert "sorter_inducted_total 0.0" in told
    assert hub.order("status")["plan"] in told
    hub.stop()


def scraped(address: str) -> str:
    try:
        with urllib.request.urlopen(f"http://{address}/metrics") as answer:
            told: str = answer.read().decode()
    except OSError:
        return ""
    return told if "sorter_up 1.0" in told else ""


def test_sighup_reloads_nothing_silently(hub: Hub) -> None:
    hub.start()
    plan = hub.order("status")["plan"]
    assert hub.daemon
    hub.daemon.send_signal(1)
    until(lambda: "nothing was reloaded" in hub.log())
    assert hub.order("status")["plan"] == plan
    hub.stop()


def test_broken_tables_stop_the_first_start_and_only_that(hub: Hub) -> None:
    rules = hub.folder / "rules" / "rules.csv"
    right = rules.read_bytes()
    rules.write_bytes(right + b"not,a,row\r\n")
    assert subprocess.run([BIN / "sorter", "run", "--site", hub.folder], check=False, timeout=120).returncode == 3
    refused = hub.command("rules", "check", code=3)
    assert refused["errors"]
    assert refused["plan"] is None
    rules.write_bytes(right)
    hub.start()
    plan = hub.order("status")["plan"]
    hub.stop()
    rules.write_bytes(right + b"not,a,row\r\n")
    hub.start()
    assert hub.order("status")["plan"] == plan
    hub.stop()
