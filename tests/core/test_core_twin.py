"""The core decides byte for byte as the slow twin does, compiled, bounds-checked and uncompiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sorter.core import state as core
from sorter.core.jit import UNCOMPILED
from sorter.reasons import Reason, Refusal
from tests.core import stories
from tests.core.naive import Twin
from tests.core.plans import compiled

EXAMPLES = int(os.environ.get("CORE_EXAMPLES", "250"))
RANDOM = "CORE_EXAMPLES" in os.environ and "CORE_FIXED" not in os.environ


def compare(twin: Twin, state: core.State) -> None:
    """All that both remember."""
    told = core.counts(state)
    assert told.inducted == sum(told.ended.values()) + told.on_belt == twin.serial
    assert told.on_belt == len(twin.items) == len(core.items_on_belt(state))
    assert {reason.word: twin.ended[reason] for reason in Reason} == told.ended
    assert {refusal.word: twin.refused[refusal] for refusal in Refusal} == told.refused
    assert core.next_due_ns(state) == twin.next_due_ns()
    for client, session in twin.sessions.items():
        assert core.acknowledged(state, client) == session.last
    for number, row in enumerate(core.chutes(state, len(twin.rows.chutes))):
        assert row["in_flight"] == sum(1 for item in twin.items if item.told and item.told.chute == number)
        assert row["dropped"] == twin.dropped[number]
    loads = {(row.lane, row.cutoff_ns): row.load for row in core.trip_loads(state)}
    departures = [d for lane in range(len(twin.rows.trips)) for d, _ in twin.departures(lane)]
    wanted = {(d.lane, d.cutoff_ns): twin.load(d) for d in departures if twin.load(d)}
    assert loads == wanted


@settings(max_examples=EXAMPLES, deadline=None, derandomize=not RANDOM, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 99), batches=stories.batches, swaps=st.sets(st.integers(1, 7), max_size=2))
def test_core_decides_as_the_twin(seed: int, batches: list[list[tuple[Any, ...]]], swaps: set[int]) -> None:
    story, twin, state = stories.Story(seed), Twin(), core.new_state()
    number = 0
    for at, draws in enumerate(batches):
        events = [story.event(draw[0], draw[1:]) for draw in draws]
        if at == 0 or at in swaps:
            number += 1
            events[:0] = [] if at else stories.advices(seed, story.t_ns)
            events.insert(0, stories.plan_event(number, story.t_ns))
            rows = stories.rows_for(seed, number)
            plan = compiled(rows)
        state, told = stories.run_core(state, plan, events)
        wanted = twin.step(rows, events)
        assert told == wanted
        story.hear(told)
        compare(twin, state)


@pytest.mark.skipif(UNCOMPILED or "CORE_EXAMPLES" in os.environ, reason="it is the run that starts the others")
@pytest.mark.parametrize("mode", ["NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"])
def test_core_decides_as_the_twin_in_every_mode(mode: str) -> None:
    environment = {**os.environ, mode: "1", "CORE_EXAMPLES": "25", "CORE_FIXED": "1"}
    command = [sys.executable, "-m", "pytest", "-q", str(Path(__file__))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
