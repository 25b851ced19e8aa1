"""What the core remembers: the manifest while it grows, a full belt, bounded ends, and the digest of it all."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorter import limits, records
from sorter.core import manifest
from sorter.core import state as core
from sorter.core.bundle import bind
from sorter.core.jit import UNCOMPILED
from sorter.core.prepared import Prepared, prepare
from sorter.core.step import ready, step
from sorter.records import Kind, Role, Verdict
from tests.core import stories
from tests.core.naive import Event
from tests.core.plans import SECOND_NS, compiled
from tests.core.stories import START_NS, plan_event, run_core
from tests.core.test_core_cases import ROWS, Hub

compiled_only = pytest.mark.skipif(UNCOMPILED, reason="needs tens of thousands of events")


def advices(waybills: Iterable[int]) -> list[Event]:
    return [Event(Kind.ADVICE, START_NS, [b"SF%014d-X" % number], station=number % 4) for number in waybills]


@compiled_only
def test_no_advice_is_lost_or_invented_while_the_manifest_grows() -> None:
    """Read back after every batch, so that both tables and every stage of the move are met."""
    hub = Hub()
    known: dict[tuple[int, int], int] = {}
    growing = 0
    dice = random.Random(1)
    for at in range(30):
        numbers = [dice.randrange(60_000) for _ in range(1500)]
        hub.send(*advices(numbers))
        known |= {records.waybill_key(f"SF{number:014d}-X"): number % 4 for number in numbers}
        found = manifest.contents(hub.state.manifest)
        assert {(int(hi), int(lo)): int(payload) & 4095 for hi, lo, payload in found} == known
        assert len(found) == len(known) == core.counts(hub.state).advices
        growing += len(hub.state.manifest.old) > 0
        some = dice.sample(sorted(known), 20)
        codes = [records.waybill_text(*key).encode() for key in some]
        told = hub.send(*(Event(Kind.SCAN, START_NS, [code], item=20 * at + n) for n, code in enumerate(codes)))
        assert [row["station"] for row in told if row["verdict"] == 0] == [known[key] for key in some]
    assert 0 < growing < 30
    assert hub.state.manifest.lines.nbytes / len(known) <= 64


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, (1 << 42) - 1)), max_size=9))
@settings(max_examples=100, deadline=None)
def test_payloads_of_a_line_do_not_touch_each_other(writes: list[tuple[int, int]]) -> None:
    line = np.zeros(8, np.uint64)
    held = [0, 0, 0]
    for place, payload in writes:
        python(manifest.write_payload)(line, place, payload)
        held[place] = payload
        assert [python(manifest.read_payload)(line, at) for at in range(3)] == held
        assert not line[:6].any()


def python(kernel: Any) -> Any:
    """The function under a kernel: inner kernels have no door of their own to Python."""
    return getattr(kernel, "py_func", kernel)


@compiled_only
def test_a_full_belt_gives_up_the_item_heard_of_longest_ago() -> None:
    hub = Hub()
    for first in range(0, limits.ITEMS_ON_BELT_MAX, 8192):
        told = hub.send(*(Event(Kind.ITEM, hub.t_ns, item=first + n) for n in range(8192)))
        assert {row["verdict"] for row in told} == {Verdict.ENTER}
    hub.one(Kind.SCAN, item=0, after_s=1)
    told = hub.send(Event(Kind.ITEM, hub.t_ns, item=10**6, line=1), Event(Kind.SCAN, hub.t_ns, item=10**7))
    assert [(row["verdict"], row["item"]) for row in told] == [(1, 1), (3, 10**6), (1, 2), (0, 10**7)]
    counts = core.counts(hub.state)
    assert counts.on_belt == limits.ITEMS_ON_BELT_MAX
    assert counts.inducted == counts.on_belt + counts.ended["lost"] == counts.on_belt + 2


@pytest.mark.parametrize("cause", ["silence", "boot"])
def test_many_ends_are_spread_over_steps(cause: str) -> None:
    """And next_due_ns asks for the next step at once."""
    hub = Hub()
    hub.send(Event(Kind.HELLO, hub.t_ns, boot=1, client=1, seq=1, value=Role.PLC))
    hub.send(*(Event(Kind.ITEM, hub.t_ns, item=n) for n in range(2500)))
    if cause == "silence":
        told = hub.send(Event(Kind.TICK, hub.t_ns + 900 * SECOND_NS))
    else:
        told = hub.send(Event(Kind.HELLO, hub.t_ns, boot=2, client=1, seq=1, value=Role.PLC))
    ends = [len(told)]
    while 0 <= core.next_due_ns(hub.state) <= int(hub.state.totals[0]["now_ns"]):
        ends.append(len(hub.send(Event(Kind.TICK, hub.t_ns))))
    assert ends == [1024, 1024, 452]
    assert core.next_due_ns(hub.state) == -1


def test_after_a_start_time_outs_count_anew() -> None:
    hub = Hub()
    hub.one(Kind.ITEM, item=1)
    hub.one(Kind.START, after_s=800)
    assert core.next_due_ns(hub.state) == hub.t_ns + 900 * SECOND_NS
    assert hub.one(Kind.TICK, after_s=899) == {}
    assert hub.one(Kind.TICK, after_s=1)["item"] == 1


def retold(seed: int) -> list[str]:
    """The digests after each batch of a random story."""
    dice = random.Random(seed)
    story, state = stories.Story(seed), core.new_state()
    digests: list[str] = []
    rows = stories.rows_for(seed, 1)
    plan = compiled(rows)
    for at in range(6):
        events = [
            story.event(dice.choice(stories.KINDS), tuple(dice.randrange(12) for _ in range(10))) for _ in range(12)
        ]
        events[:0] = [plan_event(1, START_NS)] if at == 0 else []
        state, _ = run_core(state, plan, events)
        digests.append(core.digest(state))
    return digests


def test_equal_stories_give_equal_digests_and_every_batch_another() -> None:
    assert retold(3) == retold(3)
    assert len(set(retold(3))) == 6
    assert retold(3)[-1] != retold(4)[-1]


@compiled_only
def test_the_digest_covers_contents_and_not_places() -> None:
    """The same advices in another order lie elsewhere, in a table that grew at another time."""
    one, two = Hub(), Hub()
    numbers = list(range(9000))
    one.send(*advices(numbers[:4000]))
    one.send(*advices(numbers[4000:]))
    two.send(*advices(reversed(numbers)))
    two.send()
    assert (one.state.manifest.lines.tobytes() == two.state.manifest.lines.tobytes()) is False
    assert core.digest(one.state) == core.digest(two.state)


def test_clients_are_known_by_name_after_a_restart() -> None:
    hub = Hub()
    hub.one(Kind.HELLO, client=3, boot=9, seq=4, value=Role.SCANNER, line=1, codes=[b"tunnel-1"])
    assert core.clients(hub.state) == [core.Client(3, "tunnel-1", Role.SCANNER, 1, 9, 3)]
    assert core.acknowledged(hub.state, 3) == 3
    assert core.acknowledged(hub.state, 4) == core.acknowledged(hub.state, 60_000) == 0


def test_read_only_and_strided_batches_are_taken() -> None:
    hub, other = Hub(), Hub()
    batch = stories.batch_of([Event(Kind.SCAN, START_NS, [b"AB123CN"], item=n) for n in range(4)])
    spread = np.repeat(batch.events, 2)[::2]
    codes = np.frombuffer(batch.codes.tobytes(), np.uint8).reshape(batch.codes.shape)
    out, plain = (np.zeros(limits.BATCH_DECISIONS_MAX, records.DECISION) for _ in range(2))
    assert step(hub.state, hub.plan, records.Batch(spread, codes), out) == 4
    assert step(other.state, other.plan, batch, plain) == 4
    assert out.tobytes() == plain.tobytes()


def test_a_plan_with_a_wrong_array_is_named() -> None:
    plan = compiled(ROWS)
    many = plan._replace(lane_spill=np.zeros(limits.LANES_MAX + 1, np.uint16))
    with pytest.raises(ValueError, match="1025 lanes; the core takes 1024"):
        step(core.new_state(), many, stories.batch_of([]), np.zeros(1024, records.DECISION))
    wrong = plan._replace(chute_line=plan.chute_line.astype(np.int64))
    hub = Hub()
    if not UNCOMPILED:
        with pytest.raises(TypeError, match=r"Prepared\.chute_line is int64"):
            step(hub.state, wrong, stories.batch_of([]), np.zeros(1024, records.DECISION))
    narrow: Any = core.EXAMPLE.buckets
    with pytest.raises(TypeError, match=r"State\.ended is int32"):
        bind(core.EXAMPLE, core.EXAMPLE._replace(ended=narrow))


def test_a_plan_made_ready_is_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[int] = []

    def spy(plan: records.Plan) -> Prepared:
        prepared.append(id(plan))
        return prepare(plan)

    monkeypatch.setattr(sys.modules["sorter.core.step"], "prepare", spy)
    hub, coming, other = Hub(), compiled(ROWS), compiled(ROWS)
    first = hub.plan
    ready(coming)
    for item, plan in enumerate((first, coming, coming, other, other, first)):
        hub.plan = plan
        assert hub.scan(b"AB123CN", item=item)
    assert prepared == [id(first), id(coming), id(other), id(first)]
    with pytest.raises(ValueError, match="1025 lanes"):
        ready(coming._replace(lane_spill=np.zeros(limits.LANES_MAX + 1, np.uint16)))
