"""The history is chained and survives any tear; what is in force follows from the acts as staff would reckon it."""

import json
import multiprocessing
import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorter.rulebook.published import history
from sorter.rulebook.published.history import DAY_NS, MINUTE_NS, ONCE, Act, Deed, Force, HistoryDamaged, NotAllowed

OFFSET_NS = 8 * 60 * MINUTE_NS
START_NS = 1_794_344_400_000_000_000 // DAY_NS * DAY_NS


def act(deed: Deed = Deed.PUBLISH, **changes: Any) -> Act:
    return Act(0, START_NS, deed, "a" * 64, "li", "试", START_NS)._replace(**changes)


def written(folder: Path, *acts: Act) -> list[Act]:
    return [history.append(folder, lambda: START_NS, partial(last, made)) for made in acts]


def last(made: Act, _before: list[Act], _now_ns: int) -> Act:
    return made


def test_nothing_was_published() -> None:
    assert history.in_force([], START_NS, OFFSET_NS) is None
    assert history.read(Path("nowhere")) == []


def test_acts_come_back_as_written(tmp_path: Path) -> None:
    long = "“脆李”\n 航班" + "长" * 1000
    acts = written(tmp_path, act(why=long), act(daily_min=360, by="王"), act(at_ns=START_NS + 9))
    assert [each.number for each in acts] == [1, 2, 3]
    assert history.read(tmp_path) == acts
    assert acts[0].why == long.replace("\n", "")[: history.WHY_TEXT_MAX]
    assert [each.t_ns - START_NS for each in acts] == [0, 1, 2]  # later than the one before, whatever the clock says
    assert [each.at_ns - START_NS for each in acts] == [0, 1, 9]  # never before it was noted


@given(cut=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_a_torn_line_was_never_an_act(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("torn")
    kept = written(folder, act(), act(version="b" * 64))
    path = folder / history.FILE_NAME
    whole = path.read_bytes()
    written(folder, act(version="c" * 64))
    last = len(path.read_bytes()) - len(whole)
    path.write_bytes(path.read_bytes()[: len(whole) + cut % last])
    assert history.read(folder) == kept
    (again,) = written(folder, act(version="d" * 64))
    assert history.read(folder) == [*kept, again]


@pytest.mark.parametrize("line", [0, 1, 2])
def test_who_changes_the_past_is_seen(tmp_path: Path, line: int) -> None:
    written(tmp_path, act(), act(), act())
    path = tmp_path / history.FILE_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b'\\"li\\"', b'\\"xu\\"')
    path.write_bytes(b"".join(lines))
    with pytest.raises(HistoryDamaged, match=rf"line {line + 1} does not follow"):
        history.read(tmp_path)


def test_a_removed_line_is_seen(tmp_path: Path) -> None:
    written(tmp_path, act(), act(), act())
    path = tmp_path / history.FILE_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(HistoryDamaged):
        history.read(tmp_path)
    path.write_bytes(b"\xff\n")
    with pytest.raises(HistoryDamaged):
        history.read(tmp_path)
    path.write_bytes(json.dumps({"chain": "", "act": 3}).encode() + b"\n")
    with pytest.raises(HistoryDamaged):
        history.read(tmp_path)


def append_many(folder: Path, count: int) -> None:
    for _ in range(count):
        history.append(folder, lambda: START_NS, lambda acts, _now_ns: act(why=str(len(acts))))


def test_two_who_write_at_once_wait_for_each_other(tmp_path: Path) -> None:
    writers = [multiprocessing.get_context("spawn").Process(target=append_many, args=(tmp_path, 20)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    acts = history.read(tmp_path)
    assert [each.number for each in acts] == list(range(1, 41))
    assert [each.why for each in acts] == [str(at) for at in range(40)]


def test_what_is_refused_writes_nothing(tmp_path: Path) -> None:
    written(tmp_path, act())
    before = (tmp_path / history.FILE_NAME).read_bytes()
    with pytest.raises(NotAllowed):
        history.append(tmp_path, lambda: 0, lambda acts, _now_ns: history.approval(acts, 7, "wang", ""))
    assert (tmp_path / history.FILE_NAME).read_bytes() == before


def numbered(*acts: Act) -> list[Act]:
    return [each._replace(number=at) for at, each in enumerate(acts, start=1)]


def test_the_author_cannot_approve() -> None:
    acts = numbered(act(), act(Deed.PROPOSE, version="b" * 64, at_ns=START_NS + 5))
    with pytest.raises(NotAllowed, match="another person"):
        history.approval(acts, 2, "li", "")
    with pytest.raises(NotAllowed, match="no proposal 1"):
        history.approval(acts, 1, "wang", "")
    assert history.in_force(acts, START_NS + 9, OFFSET_NS) == Force(START_NS, 1, "a" * 64)
    acts = numbered(*acts, history.approval(acts, 2, "wang", "看过"))
    assert history.in_force(acts, START_NS + 9, OFFSET_NS) == Force(START_NS + 5, 3, "b" * 64)
    assert history.waiting(acts) == []
    with pytest.raises(NotAllowed):
        history.approval(acts, 2, "wang", "")


def test_what_is_to_come_can_be_cancelled_and_what_has_come_not() -> None:
    acts = numbered(act(), act(at_ns=START_NS + 100, version="b" * 64), act(Deed.PROPOSE))
    for number in (2, 3):
        undone = history.cancellation(acts, number, "li", "", now_ns=START_NS + 9, offset_ns=OFFSET_NS)
        after = numbered(*acts, undone)
        assert history.in_force(after, START_NS + 200, OFFSET_NS) == Force(
            *((START_NS, 1, "a" * 64) if number == 2 else (START_NS + 100, 2, "b" * 64))
        )
        assert (number == 3) != bool(history.waiting(after))
    with pytest.raises(NotAllowed):
        history.cancellation(acts, 1, "li", "", now_ns=START_NS + 9, offset_ns=OFFSET_NS)
    with pytest.raises(NotAllowed):
        history.cancellation(acts, 2, "li", "", now_ns=START_NS + 100, offset_ns=OFFSET_NS)


def test_what_sorted_before_is_known() -> None:
    acts = numbered(
        act(version="a"),
        act(Deed.PROPOSE, version="b"),
        act(version="c", at_ns=START_NS + 100),
        act(version="d", daily_min=(START_NS + OFFSET_NS) // MINUTE_NS % 1440 + 1),
        act(version="e"),
        act(Deed.CANCEL, of=5),
    )
    assert history.sorted_by(acts, START_NS + 99, OFFSET_NS) == {"a"}
    assert history.sorted_by(acts, START_NS + MINUTE_NS, OFFSET_NS) == {"a", "c", "d"}


def test_of_daily_plans_at_one_minute_the_last_is_listed() -> None:
    acts = numbered(act(daily_min=360), act(daily_min=360, version="b" * 64), act(daily_min=361))
    assert [each.number for each in history.to_come(acts, START_NS, OFFSET_NS)] == [2, 3]


def test_waves_take_turns_every_day() -> None:
    morning, noon = 6 * 60, 12 * 60
    acts = numbered(
        act(version="d"), act(version="m", daily_min=morning), act(version="n", daily_min=noon), act(version="x")
    )
    local_midnight_ns = START_NS - OFFSET_NS + DAY_NS
    found = [
        (force.version, (force.from_ns - local_midnight_ns) // MINUTE_NS)
        for hour in (5, 6, 11, 12, 29, 30)
        if (force := history.in_force(acts, local_midnight_ns + hour * 60 * MINUTE_NS, OFFSET_NS))
    ]
    # START is 08:00 local: noon of that day has come already, and holds until the morning after
    assert found == [("n", -720), ("m", 360), ("m", 360), ("n", 720), ("n", 720), ("m", 1800)]


MINUTES = st.integers(0, 3 * 24 * 60)
PLANS = st.lists(
    st.tuples(MINUTES, st.sampled_from("abcd"), st.one_of(st.just(ONCE), st.integers(0, 1439)), st.booleans()),
    min_size=1,
    max_size=6,
)


def reckoned(acts: list[Act], until_min: int) -> tuple[str, int] | None:
    """The slow twin: walk minute by minute and let whatever is due take force."""
    standing = None
    cancelled = {each.of for each in acts}
    for minute in range(until_min + 1):
        now_ns = START_NS + minute * MINUTE_NS
        local_min = (now_ns + OFFSET_NS) // MINUTE_NS % 1440
        for each in acts:
            if each.deed == Deed.CANCEL or each.number in cancelled:
                continue
            due = (
                each.at_ns == now_ns if each.daily_min == ONCE else each.daily_min == local_min and now_ns >= each.at_ns
            )
            if due:
                standing = each.version, now_ns
    return standing


@given(PLANS, st.integers(0, 4 * 24 * 60))
@settings(max_examples=80, deadline=None)
def test_in_force_is_what_a_walk_through_time_finds(plans: list[tuple[int, str, int, bool]], until_min: int) -> None:
    acts = numbered(
        *(act(at_ns=START_NS + minute * MINUTE_NS, version=name, daily_min=daily) for minute, name, daily, _ in plans)
    )
    acts = numbered(
        *acts, *(act(Deed.CANCEL, of=at) for at, (_, _, _, gone) in enumerate(plans, start=1) if gone and at % 2)
    )
    now_ns = START_NS + until_min * MINUTE_NS
    force = history.in_force(acts, now_ns, OFFSET_NS)
    assert (force and (force.version, force.from_ns)) == reckoned(acts, until_min)


def test_next_change_is_the_first_that_differs_in_time() -> None:
    dice = random.Random(3)
    for _ in range(50):
        acts = numbered(
            *(
                act(
                    at_ns=START_NS + dice.randrange(3000) * MINUTE_NS,
                    version=dice.choice("abc"),
                    daily_min=dice.choice([ONCE, ONCE, dice.randrange(1440)]),
                )
                for _ in range(3)
            )
        )
        now_ns = START_NS + dice.randrange(3000) * MINUTE_NS
        coming = history.next_change(acts, now_ns, OFFSET_NS)
        if coming is None:
            assert history.in_force(acts, now_ns + 10 * DAY_NS, OFFSET_NS) == history.in_force(acts, now_ns, OFFSET_NS)
            continue
        before, at = (history.in_force(acts, t_ns, OFFSET_NS) for t_ns in (coming.from_ns - 1, coming.from_ns))
        assert before == history.in_force(acts, now_ns, OFFSET_NS)
        assert at is not None
        assert at.from_ns == coming.from_ns
