"""The hub of the daemon's tests; whatever a test did to it, it still sorts, and what it did replays."""

import random
from collections.abc import Iterator

import pytest

from sorter.core.state import counts, digest
from sorter.ledger.journal import read
from sorter.records import SortPlan
from sorter.replay import prove
from sorter.wire.frames import Hello
from tests.daemon.stepped_hub import FOLDER, GOOD, PLC, SCANNER, Hub
from tests.simulation import place


@pytest.fixture(scope="session")
def sort_plans() -> list[SortPlan]:
    return place.make(random.Random(1)).sort_plans


@pytest.fixture
def hub(sort_plans: list[SortPlan]) -> Iterator[Hub]:
    """A daemon that knows a scanner and a PLC of L1, and a parcel's advice; what it did must replay."""
    made = Hub(sort_plans)
    made.say(SCANNER, Hello(role="scanner", client="scanner-1", line="L1", boot=1))
    made.say(PLC, Hello(role="plc", client="plc-1", line="L1", boot=1))
    assert made.order("advice.load", rows=[[GOOD, "SF", 0, "standard", 0, 300, 0]]).result["accepted"] == 1
    yield made
    assert made.sorts()
    figures = counts(made.standing.state)
    assert figures.inducted == sum(figures.ended.values()) + figures.on_belt
    proof = prove(read(FOLDER, disk=made.disk))
    assert proof.differences == []
    assert proof.digest == digest(made.standing.state)
