"""Plans change while parcels flow: none is lost, none is decided by two versions, and no crash leaves half a plan."""

import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Self

import pytest

from sorter import publishing
from sorter.ledger.journal import BatchRecord, read
from sorter.publishing import Order
from sorter.records import Kind, SortPlan, Verdict, plan_from_bytes
from sorter.replay import prove
from sorter.rulebook.published import history, versions
from sorter.rulebook.published.history import NotAllowed
from sorter.site import Site, load
from sorter.wire.client import Client, Divert
from sorter.wire.control import Control
from tests.system.hubs import Hub

PATIENCE_S = 60.0
WAYBILL = "YT1234567890123"
ADVICES = f"waybill,carrier,station,service,flow,weight_g\n{WAYBILL},YTO,V002,standard,inbound,800\n"
OWN_LANE = {110, 126}  # of V002: TRK-DACHANG on L1
DETOUR = {111, 127}  # TRK-QUCHI
ROW = "60001,,V002,,,,,,,,TRK-QUCHI,改走曲尺\r\n"
PUBLISHES = 100
KILLS = 12


@pytest.fixture(name="hub")
def hub_whose_chutes_never_fill(hub: Hub) -> Hub:
    chutes = hub.folder / "rules" / "chutes.csv"
    chutes.write_text(chutes.read_text(encoding="utf-8").replace(",240,", ",,"), encoding="utf-8")
    return hub


def order(site: Site, why: str) -> Order:
    """By the daemon's clock."""

    def now_ns() -> int:
        with closing(Control(site.wire.control, timeout_s=10.0)) as control:
            return int(control.call("plan.version")["t_ns"])

    return Order("tester", why, now_ns)


def publish(site: Site, why: str) -> str:
    """As the command does it, without its start-up time."""
    asked = order(site, why)
    with closing(Control(site.wire.control, timeout_s=10.0)) as control:
        act = publishing.publish(site, asked, publishing.names_in_use(control))
        settled = publishing.settle(site, asked.clock(), control)
        assert settled.sorts
        assert settled.sorts.version == act.version == control.call("plan.version")["version"]
    return act.version


def edit(hub: Hub, *, detour: bool) -> None:
    """The rule tables with V002 by its own lane, or by another."""
    path = hub.folder / "rules" / "rules.csv"
    text = path.read_text(encoding="utf-8-sig").split("60001,")[0].rstrip()
    path.write_text(f"\ufeff{text}\r\n{ROW * detour}", encoding="utf-8", newline="")


class Belt:
    """A line that goes on scanning until it is told to stop; every item drops where it is told."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._stopped = threading.Event()
        self.diverts: dict[int, list[Divert]] = {}
        self.scans = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        with self._hub.client("plc", "plc-1") as plc, self._hub.client("scanner", "scanner-1") as scanner:
            while not (plc.welcomed and scanner.welcomed):
                plc.poll(0.01), scanner.poll(0.01)
            while not self._stopped.is_set():
                self.scans += 1
                scanner.scan(item=self.scans, codes=[WAYBILL], weight_g=800)
                scanner.poll(0.002)
                self._hear(plc)
            scanner.flush(PATIENCE_S)
            deadline = time.monotonic() + PATIENCE_S
            while len(self.diverts) < self.scans and time.monotonic() < deadline:
                self._hear(plc)
            plc.flush(PATIENCE_S)

    def _hear(self, plc: Client) -> None:
        for divert in plc.poll(0.002):
            self.diverts.setdefault(divert.item, []).append(divert)
            plc.discharge(item=divert.item, outcome="dropped", chute=divert.chute)


def test_every_parcel_is_decided_by_exactly_one_version(hub: Hub, tmp_path: Path) -> None:
    hub.start()
    site = load(hub.folder)
    advices = tmp_path / "advices.csv"
    advices.write_text(ADVICES, encoding="utf-8")
    hub.command("advice", "load", advices)
    names = []
    with Belt(hub) as belt:
        for at in range(PUBLISHES):
            edit(hub, detour=at % 2 == 0)
            names.append(publish(site, f"第{at}次"))
    assert len(set(names)) == 2
    assert len(set(names[::2])) == 1
    assert sorted(belt.diverts) == list(range(1, belt.scans + 1))
    assert all(len(told) == 1 for told in belt.diverts.values())
    hub.stop()

    plans: dict[int, SortPlan] = {}
    decided: dict[int, tuple[str, int]] = {}
    number = switches = 0
    for record in read(site.ledger):
        if not isinstance(record, BatchRecord):
            plans[record.number] = plan_from_bytes(record.data)
            continue
        for event in record.batch.events:
            if event["kind"] == Kind.PLAN:
                number, switches = int(event["chute"]), switches + 1
        for decision in record.decisions[record.decisions["verdict"] == Verdict.DIVERT]:
            assert decision["plan"] == number
            sort_plan = plans[number]
            decided[int(decision["item"])] = sort_plan.version, sort_plan.names.chutes[decision["chute"]]
    assert switches == PUBLISHES + 1
    assert len(decided) == belt.scans
    for item, (version, chute) in decided.items():
        assert chute in (DETOUR if version == names[0] else OWN_LANE)
        assert belt.diverts[item][0].chute == chute
    assert {version for version, _ in decided.values()} >= set(names)
    assert prove(read(site.ledger)).differences == []
    acts = history.read(site.plans)
    assert [act.version for act in acts[1:]] == names


def test_publish_rollback_and_publish_again_is_the_same_version(hub: Hub) -> None:
    hub.start()
    site = load(hub.folder)
    first = hub.order("plan.version")["version"]
    edit(hub, detour=True)
    detour = publish(site, "绕行")
    assert detour != first
    with pytest.raises(NotAllowed, match="nothing to publish"):
        publish(site, "again")
    act = publishing.rollback(site, order(site, "回退"))
    assert act.version == first
    until_sorts_by(hub, first)
    assert publish(site, "again") == detour
    hub.kill()
    hub.start()
    assert hub.order("plan.version")["version"] == detour


def until_sorts_by(hub: Hub, version: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while hub.order("plan.version")["version"] != version:
        assert time.monotonic() < deadline, hub.log()
        time.sleep(0.05)


def test_a_timed_plan_takes_force_by_itself(hub: Hub) -> None:
    hub.start()
    site = load(hub.folder)
    first = hub.order("plan.version")["version"]
    edit(hub, detour=True)
    asked = order(site, "定时")
    act = publishing.publish(site, asked._replace(at_ns=asked.clock() + 2 * 10**9))
    assert hub.order("plan.version")["version"] == first
    until_sorts_by(hub, act.version)
    assert hub.order("plan.version")["t_ns"] >= act.at_ns


def test_what_is_noted_is_carried_through_though_the_plan_in_force_has_a_misplaced_chute(hub: Hub) -> None:
    hub.start()
    site = load(hub.folder)
    first = hub.order("plan.version")["version"]
    edit(hub, detour=True)
    asked = order(site, "later")
    later = publishing.publish(site, asked._replace(at_ns=asked.clock() + 10**9 * 86_400))
    settings = hub.folder / "site.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("divert_m = 120.0", "divert_m = 125.0"), encoding="utf-8")
    hub.command("rules", "cancel", str(later.number))
    hub.stop()
    hub.start()
    assert hub.order("plan.version")["version"] != first, "it is read for the lines of today"
    assert "124 m is before the first divert" in hub.log()
    later = publishing.publish(site, asked._replace(at_ns=asked.clock() + 10**9 * 86_400))
    settings.write_text(re.sub(r"(?ms)^\[line\.L2\].*?(?=^\[)", "", text), encoding="utf-8")
    assert "noted in the history; but plan" in hub.command(
        "rules", "cancel", str(later.number), "--language", "en", code=1
    )
    assert history.read(site.plans)[-1].of == later.number


def test_the_draft_alone_changes_nothing(hub: Hub) -> None:
    hub.start()
    first = hub.order("plan.version")["version"]
    hub.stop()
    edit(hub, detour=True)
    (hub.folder / "rules" / "lanes.csv").write_text("broken", encoding="utf-8")
    hub.start()
    assert hub.order("plan.version")["version"] == first


def test_a_changed_plan_file_is_refused(hub: Hub) -> None:
    hub.start()
    site = load(hub.folder)
    first = hub.order("plan.version")["version"]
    hub.stop()
    path = site.plans / (first + versions.SUFFIX)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-20] + bytes(20))
    hub.start()
    assert hub.order("plan.version")["version"] == first
    assert "is damaged or was changed" in hub.log()


PUBLISHER = """
import os, re, sys
from pathlib import Path
from sorter import publishing
from sorter.publishing import Order
from sorter.site import load
site = load(Path(sys.argv[1]))
path = site.rules / "rules.csv"
text = path.read_text(encoding="utf-8-sig")
print("begin", flush=True)
for at in range(100000):
    path.write_text(re.sub("超过设备上限30公斤|第.*次", f"第{os.getpid()}-{at}次", text), encoding="utf-8")
    publishing.publish(site, Order("tester", str(at), lambda: 10**18 + at))
"""


def test_a_killed_publisher_leaves_nothing_half_done(tmp_path: Path) -> None:
    site = load(Hub(tmp_path).folder)
    before: list[history.Act] = []
    for kill in range(KILLS):
        writer = subprocess.Popen([sys.executable, "-c", PUBLISHER, site.folder], stdout=subprocess.PIPE)
        assert writer.stdout
        assert writer.stdout.readline() == b"begin\n"
        time.sleep(0.15 + kill * 0.037)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        acts = history.read(site.plans)
        assert acts[: len(before)] == before
        force = history.in_force(acts, 2 * 10**18, site.utc_offset_ns)
        if force:
            publishing.stored(site, force.version)
        before = acts
    assert len(before) > KILLS
