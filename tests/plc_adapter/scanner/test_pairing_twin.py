"""By order, what becomes of each item is what a slow twin finds by definition alone, from all at once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from plc_adapter.scanner.pairing import Fate
from plc_adapter.scanner.pairing.tracking import QUIET_WINDOWS
from tests.plc_adapter.scanner.pairing_story import MS, START, TRAVEL, WINDOW, Story


def twin(entered: list[tuple[int, int]], read: list[tuple[int, tuple[str, ...]]]) -> dict[int, tuple[str, Fate | str]]:
    """What becomes of each item, from all (item, expected) and all (time, codes) at once, by definition alone."""
    window, quiet = WINDOW * MS, QUIET_WINDOWS * WINDOW * MS
    readings = sorted(read)
    repeats = [
        bool(codes) and any(t_ns - one <= quiet and set(codes) <= set(others) for one, others in readings[:index])
        for index, (t_ns, codes) in enumerate(readings)
    ]

    def inside(t_ns: int, expected_ns: int) -> bool:
        return abs(t_ns - expected_ns) <= window

    turns = [(expected_ns, 0, item) for item, expected_ns in entered]
    turns += [(t_ns + window, 1, index) for index, (t_ns, _) in enumerate(readings)]
    misfits: list[int] = []
    found: dict[int, tuple[str, Fate | str]] = {}
    for turn_ns, kind, which in sorted(turns):
        if kind:
            t_ns = readings[which][0]
            if not repeats[which] and not any(inside(t_ns, expected_ns) for _, expected_ns in entered):
                misfits.append(t_ns)
            continue
        mine = [index for index, (t_ns, _) in enumerate(readings) if inside(t_ns, turn_ns)]
        first = mine[0] if mine else -1
        if not mine:
            found[which] = ("", Fate.SILENT)
        elif (
            repeats[first]
            or any(not (repeats[one] and set(readings[one][1]) <= set(readings[first][1])) for one in mine[1:])
            or sum(inside(readings[first][0], expected_ns) for _, expected_ns in entered) > 1
        ):
            found[which] = ("", Fate.AMBIGUOUS)
        elif any(turn_ns <= misfit + quiet for misfit in misfits):
            found[which] = ("", Fate.SLIPPED)
        else:
            found[which] = ("".join(readings[first][1]), Fate.PAIRED)
            continue
        misfits.append(turn_ns)
    return found


steps_ms = st.lists(st.integers(1, 400), max_size=25)


@settings(max_examples=400, deadline=None)
@given(steps_ms, steps_ms, st.lists(st.text("ABC", max_size=2), min_size=25, max_size=25))
def test_it_decides_as_the_slow_twin_does(items: list[int], reads: list[int], codes: list[str]) -> None:
    story, at_ms = Story(), 0
    entered, read = [], []
    for item, step_ms in enumerate(items):
        at_ms += step_ms
        story.enter(item + 1, at_ms)
        entered.append((item + 1, START + (at_ms + TRAVEL) * MS))
    at_ms = TRAVEL
    for index, step_ms in enumerate(reads):
        at_ms += step_ms
        story.read(at_ms, *codes[index])
        read.append((START + at_ms * MS, tuple(codes[index])))
    if story.calls:
        out = story.run(until_ms=25 * 400 + 2 * TRAVEL)[1]
        assert {one.item: ("".join(one.codes), one.fate) for one in out} == twin(entered, read)
        assert len(out) == len(items)
