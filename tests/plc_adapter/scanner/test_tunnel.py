"""No head's codes go to another parcel: one thing at a time, against a slow twin, and over tunnels with faults."""

from __future__ import annotations

import random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plc_adapter.scanner.telegram import Reading
from plc_adapter.scanner.tunnel import CLOSED_MAX, LATE_MAX, OPEN_MAX, Merged, Tunnel
from sorter import limits

HEADS: Final = ("top", "left", "dws")
WINDOW: Final = 50


def said(*codes: str, number: int | None = None, weight_g: int = 0, size: int = 0) -> Reading:
    return Reading(codes, not codes, weight_g, (size, size, size) if size else None, number)


def run(
    telegrams: list[tuple[int, str, Reading]], heads: tuple[str, ...] = HEADS, *, step: int = 1
) -> tuple[Tunnel, list[Merged]]:
    """Telegrams at their times, `due` every `step` between them and to the end."""
    tunnel, out = Tunnel(heads, WINDOW), []
    end = max(t for t, *_ in telegrams) + 3 * WINDOW
    for now in range(0, end, step):
        for t, head, reading in telegrams:
            if now - step < t <= now:
                out += tunnel.read(head, reading, t)
        out += tunnel.due(now)
    return tunnel, out


def test_codes_stand_in_the_order_of_the_heads_each_once() -> None:
    heard = [(0, "dws", said(weight_g=900, size=30)), (5, "left", said("B", "A")), (9, "top", said("A"))]
    _, out = run(heard)
    assert out == [Merged(("A", "B"), unread=False, weight_g=900, size_mm=(30, 30, 30), id=None, t_ns=0)]


def test_it_is_closed_when_every_head_has_spoken() -> None:
    tunnel = Tunnel(HEADS, WINDOW)
    assert tunnel.next_ns() is None
    assert tunnel.read("top", said("A"), 0) == []
    assert tunnel.next_ns() == WINDOW
    assert tunnel.read("left", said("A"), 1) == []
    assert [one.codes for one in tunnel.read("dws", said(), 2)] == [("A",)]
    assert tunnel.next_ns() is None


def test_a_silent_head_holds_it_back_for_the_window_only() -> None:
    tunnel = Tunnel(HEADS, WINDOW)
    tunnel.read("top", said("A"), 100)
    assert tunnel.due(100 + WINDOW - 1) == []
    assert [one.codes for one in tunnel.due(100 + WINDOW)] == [("A",)]
    assert tunnel.counts["merged"] == 1


def test_one_head_alone_waits_for_nothing() -> None:
    tunnel = Tunnel(("top",), WINDOW)
    assert [one.codes for one in tunnel.read("top", said("A"), 0)] == [("A",)]
    assert [one.codes for one in tunnel.read("top", said("B"), 1)] == [("B",)]
    assert not tunnel.late


@pytest.mark.parametrize(("first", "second", "unread"), [((), (), True), (("A",), (), False), ((), ("A",), False)])
def test_it_is_unread_only_when_all_heads_say_so(first: tuple[str, ...], second: tuple[str, ...], unread: bool) -> None:
    _, out = run([(0, "top", said(*first)), (1, "left", said(*second))])
    assert [one.unread for one in out] == [unread]


def test_the_first_weight_and_size_in_the_order_of_the_heads_count() -> None:
    heard = [(0, "dws", said(weight_g=3, size=3)), (1, "left", said(weight_g=2, size=2)), (2, "top", said("A"))]
    assert [(one.weight_g, one.size_mm) for one in run(heard)[1]] == [(2, (2, 2, 2))]


def test_ids_never_merge_however_close() -> None:
    heard = [(t, head, said(f"{head}{n}", number=n)) for n in (7, 8) for t, head in enumerate(HEADS)]
    _, out = run(sorted(heard, key=lambda one: one[:2]))
    assert [(one.id, one.codes) for one in out] == [(n, tuple(f"{head}{n}" for head in HEADS)) for n in (7, 8)]


def test_a_head_without_id_joins_the_only_parcel_that_lacks_it() -> None:
    _, out = run([(0, "dws", said(weight_g=5)), (3, "top", said("A", number=7))])
    assert [(one.id, one.codes, one.weight_g) for one in out] == [(7, ("A",), 5)]
    tunnel, out = run([(0, "top", said("A", number=7)), (1, "top", said("B", number=8)), (3, "dws", said(weight_g=5))])
    assert [(one.id, one.codes, one.weight_g) for one in out] == [(7, ("A",), 0), (8, ("B",), 0)]
    assert [late.head for late in tunnel.late] == ["dws"]


def test_a_late_telegram_is_told_and_not_given_to_the_next_parcel() -> None:
    heard = [(0, "top", said("A")), (60, "left", said("LATE")), (61, "top", said("B")), (90, "left", said("X"))]
    tunnel, out = run(heard)
    assert [one.codes for one in out] == [("A",), ("B",)]
    assert [(late.t_ns, late.head, late.codes) for late in tunnel.late] == [
        (60, "left", ("LATE",)),
        (90, "left", ("X",)),
    ]
    assert tunnel.counts["late"] == 2
    assert "LATE" not in tunnel.late[0].text


def test_a_late_telegram_of_an_id_is_told() -> None:
    tunnel, out = run([(0, "top", said("A", number=7)), (60, "left", said("LATE", number=7))])
    assert [one.codes for one in out] == [("A",)]
    assert [late.id for late in tunnel.late] == [7]
    assert "of parcel 7" in tunnel.late[0].text


def test_a_head_that_speaks_again_begins_the_next_parcel_and_others_words_fit_both() -> None:
    heard = [(0, "left", said("?")), (5, "top", said("A")), (30, "top", said("B")), (40, "left", said("?2"))]
    tunnel, out = run(heard)
    assert [one.codes for one in out] == [("A",), ("B",)]
    assert [late.codes for late in tunnel.late] == [("?",), ("?2",)]
    assert tunnel.counts["crowded"] == 1


def test_codes_beyond_what_a_scan_holds_are_counted() -> None:
    codes = [f"C{n}" for n in range(limits.CODES_PER_SCAN_MAX + 2)]
    tunnel, out = run([(0, "top", said(*codes[:6])), (1, "left", said(*codes[6:]))])
    assert [one.codes for one in out] == [tuple(codes[: limits.CODES_PER_SCAN_MAX])]
    assert tunnel.counts["cut"] == 2


def test_a_clock_that_goes_back_leaves_nothing_open() -> None:
    tunnel = Tunnel(HEADS, WINDOW)
    tunnel.read("top", said("A"), 1000)
    assert [one.codes for one in tunnel.due(10)] == [("A",)]
    assert tunnel.read("left", said("B"), 11) == []
    assert [one.codes for one in tunnel.due(11 + WINDOW)] == [("B",)]


def test_a_flood_is_bounded() -> None:
    tunnel = Tunnel(HEADS, WINDOW)
    out = [one for n in range(10_000) for one in tunnel.read("top", said("A", number=n), 0)]
    assert len(out) == 10_000 - OPEN_MAX
    for n in range(1000):
        tunnel.read("left", said("B"), 1 + n // 100)
    assert len(tunnel._open) <= OPEN_MAX
    assert len(tunnel._closed) <= CLOSED_MAX
    assert len(tunnel.late) == LATE_MAX


@pytest.mark.parametrize(("heads", "window"), [((), 1), (("a", "a"), 1), (("a",), 0)])
def test_a_tunnel_that_cannot_be_is_refused(heads: tuple[str, ...], window: int) -> None:
    with pytest.raises(ValueError, match=r"heads|window"):
        Tunnel(heads, window)


def test_a_head_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no head back; heads are top, left, dws"):
        Tunnel(HEADS, WINDOW).read("back", said(), 0)


# ---- the slow twin, without ids -------------------------------------------------------------


def twin(telegrams: list[tuple[int, str, str]]) -> tuple[list[list[str]], list[str]]:
    """Codes of each parcel by head, and late ones, from one look at all telegrams in their order."""
    parcels: list[dict[str, str]] = []
    starts: list[int] = []
    shut: list[int] = []  # when each was closed
    late: list[str] = []
    for t, head, code in telegrams:
        for index, start in enumerate(starts):
            shut[index] = min(shut[index], start + WINDOW)
        able = [n for n, start in enumerate(starts) if head not in parcels[n] and t < start + 2 * WINDOW]
        able = [n for n in able if set(parcels[n]) != set(HEADS)]
        if len(able) == 1 and t < shut[able[0]]:
            parcels[able[0]][head] = code
        elif able:
            late.append(code)
        else:
            for index in range(len(parcels)):
                if t < shut[index] and set(parcels[index]) != set(HEADS):
                    shut[index] = t
                    late += [parcels[index].pop(other) for other in list(parcels[index]) if other != head]
            parcels.append({head: code})
            starts.append(t)
            shut.append(t + WINDOW)
    return [[one[head] for head in HEADS if head in one] for one in parcels], late


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 70), st.sampled_from(HEADS)), min_size=1, max_size=30))
def test_it_merges_as_the_slow_twin_does(steps: list[tuple[int, str]]) -> None:
    t, heard = 0, []
    for number, (step, head) in enumerate(steps):
        t += step
        heard.append((t, head, f"C{number}"))
    tunnel, out = run([(t, head, said(code)) for t, head, code in heard])
    parcels, late = twin(heard)
    assert [list(one.codes) for one in sorted(out, key=lambda one: (one.t_ns, one.codes))] == sorted_as(parcels, out)
    assert sorted(code for one in tunnel.late for code in one.codes) == sorted(late)
    assert sorted([code for one in out for code in one.codes] + late) == sorted(code for *_, code in heard)


def sorted_as(parcels: list[list[str]], out: list[Merged]) -> list[list[str]]:
    """The parcels in the order of `out` by their start; each must be there."""
    known = {tuple(parcel) for parcel in parcels}
    assert {one.codes for one in out} == known
    return [list(one.codes) for one in sorted(out, key=lambda one: (one.t_ns, one.codes))]


# ---- tunnels with faults: never another parcel's codes ------------------------------------------


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("gap", [2 * WINDOW, 5 * WINDOW])
def test_no_parcel_gets_anothers_codes(gap: int, ids: bool) -> None:
    """Parcels two windows apart; heads skewed, silent, up to two windows late. With ids, however close."""
    given_up = spoken = 0
    for seed in range(400):
        chance = random.Random(seed)
        heard: list[tuple[int, str, int]] = []
        at = 0
        for parcel in range(20):
            at += chance.randint(1 if ids else gap, gap + 40)
            first = at
            for head in chance.sample(HEADS, chance.randint(1, 3)):
                t = first if not [one for one in heard if one[2] == parcel] else first + chance.randint(1, 45)
                late = chance.random() < 0.1 and t > first
                heard.append((first + chance.randint(WINDOW, 2 * WINDOW - 1) if late else t, head, parcel))
        heard.sort(key=lambda one: one[0])
        telegrams = [(t, head, said(f"P{n}", number=n if ids else None)) for t, head, n in heard]
        tunnel, out = run(telegrams, step=7)
        assert [one.codes for one in out if len(one.codes) != 1] == [], f"seed {seed}"
        assert not ids or all(one.codes == (f"P{one.id}",) for one in out)
        given_up += tunnel.counts["late"]
        spoken += len(heard)
    assert 0 < given_up < spoken / 2
