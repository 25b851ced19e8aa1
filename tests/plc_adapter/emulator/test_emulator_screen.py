"""The picture of a floor shows every parcel and chute where it is, fits its window, and never holds up the belts."""

import io
import os
import pty
import select
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from plc_adapter.emulator import screen
from plc_adapter.emulator.line import Line
from plc_adapter.emulator.picture import Picture
from plc_adapter.emulator.plant import BLOCKED, CHANGING, FULL, OPEN, Bin, Rider
from plc_adapter.emulator.screen import FloorView, LineView, draw, view_of, watch
from plc_adapter.emulator.site import Site
from plc_adapter.emulator.traffic import Day
from sorter.clock import Clock

PATIENCE_S = 30.0
LOOP = "cross-belt"
WHEEL = "wheel-diverter"
RIDING = "◦•○●"
XTERM = {"TERM": "xterm-256color"}


def line(kind: str = LOOP, riders: Sequence[Rider] = (), bins: Sequence[Bin] = (), **changed: Any) -> LineView:
    view = LineView(
        name="L1",
        kind=kind,
        lap_m=240.0,
        lead_m=20.0,
        speed_m_s=2.0,
        riders=riders,
        bins=bins,
        end_chute=0,
        inducted=75_000,
        dropped=74_800,
        missed=150,
        jams=12,
        late=0,
        bags=0,
        strays=0,
        epoch=1_794_344_400,
        host_alive=True,
        unread=0,
        stands=False,
    )
    return view._replace(**changed)


def floor(*lines: LineView, faults: Sequence[str] = ()) -> FloorView:
    return FloorView("2026-11-11 05:42:10", 20.0, 150_000, lines, faults)


def drawn(view: LineView, width: int = 80, height: int = 14) -> list[str]:
    """The rows of one line: without the first, which is the floor's, and the last, which explains the signs."""
    return draw(floor(view), width, height).rows()[1:-1]


def rider(position_m: float, chute: int = 101, lap: int = 0) -> Rider:
    return Rider(position_m, 1, chute, lap)


def places(rows: Sequence[str], glyphs: str) -> list[tuple[int, int]]:
    return [(row, column) for row, text in enumerate(rows) for column, glyph in enumerate(text) if glyph in glyphs]


def along(count: int, begin_m: float, end_m: float, state: int = OPEN) -> list[Bin]:
    return [Bin(101 + at, begin_m + (end_m - begin_m) * at / count, state, 0, 0) for at in range(count)]


@pytest.mark.parametrize(("quarter", "place"), [(0, (1, 2)), (1, (1, 42)), (2, (6, 77)), (3, (6, 37))])
def test_a_parcel_stands_where_it_rides_on_the_loop(quarter: int, place: tuple[int, int]) -> None:
    """At 80 columns two strands of 76 cells and two sides of four: a quarter of the lap is 40 cells."""
    rows = drawn(line(riders=[rider(60.0 * quarter)]))
    assert places(rows, "▾") == [(1, 1)]  # the scanner, where the loop begins
    assert places(rows, RIDING) == [place]


@pytest.mark.parametrize(
    ("position_m", "column"), [(-20.0, 1), (0.0, 6), (45.0, 20), (110.0, 39), (175.0, 58), (239.9, 76)]
)
def test_a_parcel_stands_where_it_rides_on_a_straight_belt(position_m: float, column: int) -> None:
    """At 80 columns 76 cells of 3.42 m from the induction, 20 m before the scanner, to the end."""
    rows = drawn(line(WHEEL, [rider(position_m)]))
    assert places(rows, "▴▾") == [(2, 1), (2, 6)]
    assert places(rows, "▸") == [(3, 77)]
    assert places(rows, RIDING) == [(3, column)]


def test_a_parcel_that_has_no_chute_yet_looks_different_and_so_do_several() -> None:
    riders = [rider(10.0, chute=0), rider(30.0), *[rider(50.0, chute=0)] * 2, *[rider(70.0, chute=0), rider(70.0)]]
    rows = drawn(line(riders=riders))
    assert [rows[row][column] for row, column in places(rows, RIDING)] == ["◦", "•", "○", "●"]


@pytest.mark.parametrize("kind", [LOOP, WHEEL])
@pytest.mark.parametrize(("begin_m", "end_m"), [(5.0, 235.0), (100.0, 101.0), (1.0, 2.0), (238.0, 239.0)])
@pytest.mark.parametrize("state", [OPEN, FULL, BLOCKED, CHANGING])
def test_sixty_chutes_of_two_lines_are_all_seen_in_80_columns(
    kind: str, begin_m: float, end_m: float, state: int
) -> None:
    view = line(kind, bins=along(60, begin_m, end_m, state))
    text = "".join(draw(floor(view, view), 80, 24).rows()[1:-1]).replace("PLC", "")
    assert sum(text.count(glyph) for glyph in "▁FXC") == 2 * 60


@given(
    positions_m=st.lists(st.floats(0.1, 239.9), max_size=90, unique=True),
    kind=st.sampled_from([LOOP, WHEEL]),
    height=st.integers(14, 24),
)
def test_chutes_stand_in_their_order(positions_m: list[float], kind: str, height: int) -> None:
    """Along the track each is found once, in the order of the positions, however close they are."""
    bins = [Bin(199 - at, position_m, OPEN, 0, 0) for at, position_m in enumerate(sorted(positions_m))]
    view = line(kind, bins=bins)
    track, kept = tracks(view, height)
    stands = screen._stands(track, bins[::-1], kept)
    path = [cell for place in track.places for cell in place.beside if cell in stands]
    assert [stands[cell] for cell in path] == bins


def tracks(view: LineView, height: int) -> tuple[screen._Track, set[tuple[int, int]]]:
    if view.kind == LOOP:
        return screen._Track(screen._loop(4, height - 4, 80, outer=True), 0.0, 240.0), {(height - 3, 7)}
    places = [screen._Place((9, at), "─", ((8, at), (10, at))) for at in range(1, 77)]
    return screen._Track(places, -20.0, 260.0), {(8, 1), (8, 6)}


def test_a_chute_shows_how_full_it_is() -> None:
    bins = [Bin(101 + at, 20.0 * (at + 1), OPEN, at * 10, 60) for at in range(7)] + [Bin(120, 200.0, OPEN, 999, 0)]
    assert [glyph for row in drawn(line(WHEEL, bins=bins)) for glyph in row if glyph in "▁▂▃▄▅▆▇"] == [*"▁▂▃▄▅▆▇▁"]


def test_each_state_is_told_without_colour() -> None:
    states = (OPEN, FULL, BLOCKED, CHANGING)
    rows = drawn(line(WHEEL, bins=[Bin(101 + state, 50.0 * (state + 1), state, 0, 9) for state in states]))
    assert rows[2].split() == ["▴", "▾", "▁", "F", "X", "C"]
    assert "blocked 103  full 102  changing 104" in "".join(rows)


def test_the_end_of_a_straight_belt_drops_into_its_end_chute() -> None:
    bins = [Bin(101, 100.0, OPEN, 0, 0), Bin(199, 240.0, BLOCKED, 0, 0)]
    rows = drawn(line(WHEEL, bins=bins, end_chute=199))
    assert rows[3].rstrip().endswith("▸X")
    assert len(places(rows[1:5], "▁X")) == 2


def test_what_needs_somebody_is_the_only_colour() -> None:
    bins = [Bin(101, 50.0, OPEN, 0, 0), Bin(102, 99.0, FULL, 9, 9), Bin(103, 150.0, CHANGING, 9, 9)]
    painted = coloured(floor(line(WHEEL, bins=bins, host_alive=False, stands=True), faults=["05:42 L1 stop"]))
    assert painted == ["STANDS", "SILENT", "102", "F", "102"]  # its number beside the belt, its sign, and in words
    assert coloured(floor(line(WHEEL, bins=bins[:1]))) == []


def coloured(view: FloorView) -> list[str]:
    console = Console(file=io.StringIO(), width=80, height=14)
    segments = console.render(draw(view, 80, 14))
    return [segment.text for segment in segments if segment.style and segment.style.color]


def test_the_figures_of_a_whole_day_stand_in_80_columns() -> None:
    bins = along(48, 124.0, 216.0)
    view = line(bins=bins, late=3, unread=4)
    text = "\n".join(draw(floor(view, view._replace(name="L2", kind=WHEEL)), 80, 24).rows())
    figures = "inducted 75000  dropped 74800  on belt 200  missed 150  jams 12  late 3"
    assert text.count(figures) == 2
    assert text.count("PLC epoch 1794344400  host alive  unread 4") == 2
    assert "2026-11-11 05:42:10  ×20  inducted 150000 of 150000" in text


def test_a_larger_window_tells_more() -> None:
    view = line(bins=along(48, 124.0, 216.0), riders=[rider(1.0, lap=2)], bags=31, strays=7)
    text = "\n".join(draw(floor(view), 120, 40).rows())
    for figure in ("on a further lap 1", "bags changed 31", "stray orders 7"):
        assert figure in text
    assert sum(f" {chute}" in text for chute in range(101, 149)) > 12


def test_the_latest_faults_are_kept() -> None:
    view = line(bins=along(48, 124.0, 216.0))
    rows = draw(floor(view, view, faults=[f"fault {at}" for at in range(9)]), 80, 24).rows()
    assert [row.strip() for row in rows if "fault" in row] == [f"fault {at}" for at in (5, 6, 7, 8)]


def test_lines_that_do_not_fit_are_counted() -> None:
    rows = draw(floor(*[line()] * 9), 80, 7).rows()
    assert sum("PLC epoch" in row for row in rows) == 5
    assert "+4 lines" in rows[-1]


def test_a_chinese_name_takes_two_columns_a_sign() -> None:
    rows = drawn(line(name="南线"))
    assert rows[0].startswith(" 南线  cross-belt")
    assert {cell_len(row) for row in rows} == {80}


def test_a_wide_sign_that_is_half_covered_is_gone() -> None:
    for column in (1, 2):
        picture = Picture(6, 1)
        picture.put((0, 1), "南线")
        picture.put((0, column), "x")
        assert picture.rows() == [" x 线 " if column == 1 else "  x线 "]


anything = st.text(max_size=30)
metres = st.floats(-1e6, 1e6)
counts = st.integers(0, 10**12)
riders = st.lists(st.builds(Rider, metres, counts, st.integers(0, 999), st.integers(0, 300)), max_size=40)
bins = st.lists(st.builds(Bin, counts, metres, st.sampled_from([OPEN, FULL, BLOCKED, CHANGING]), counts, counts))
lines = st.builds(
    LineView,
    anything,
    st.sampled_from([LOOP, WHEEL]),
    st.floats(0.1, 1e6),
    st.floats(0.0, 1e6),
    st.floats(0.1, 10.0),
    riders,
    bins,
    *[counts] * 9,
    st.booleans(),
    counts,
)


@settings(max_examples=300)
@given(
    view=st.builds(FloorView, anything, st.floats(0.1, 1e6), counts, st.lists(lines, max_size=4), st.lists(anything)),
    width=st.integers(1, 220),
    height=st.integers(1, 60),
)
def test_no_floor_is_larger_than_its_window(view: FloorView, width: int, height: int) -> None:
    rows = draw(view, width, height).rows()
    assert len(rows) == height
    assert {columns(row) for row in rows} == {width}


def columns(row: str) -> int:
    """Sign by sign: what belongs to no sign of its own was dropped."""
    return sum(cell_len(glyph) for glyph in row)


def test_a_real_line_is_seen(county: Site, county_day: Day) -> None:
    with closing(Line(county, "L1", county_day, 1, Clock())) as real:
        plant = real.plant
        while plant.inducted < 5:
            plant.advance(plant.next_ns())
        view = view_of(real)
        assert (view.name, view.kind, view.lap_m) == ("L1", plant.belt.kind, plant.belt.lap_m)
        assert (view.inducted, len(view.riders), view.unread) == (5, plant.on_belt, real.program.unread)
        assert [bin_.chute for bin_ in view.bins] == [chute.number for chute in county.chutes_of("L1")]
        assert places(drawn(view), RIDING)


class Terminal:
    """One end of a pseudo-terminal is written by the screen, the other read here, when it is asked to."""

    def __init__(self) -> None:
        self._read, written = pty.openpty()
        self.file = os.fdopen(written, "w", encoding="utf-8")
        self.text = ""
        self._reader = threading.Thread(target=self._take, daemon=True)

    def read(self) -> None:
        """Take what is written, from now until it is closed."""
        self._reader.start()

    def _take(self) -> None:
        while chunk := self._chunk():
            self.text += chunk.decode(errors="replace")

    def _chunk(self) -> bytes:
        try:
            return os.read(self._read, 65536)
        except OSError:  # what Linux says of a pseudo-terminal whose other end is closed
            return b""

    def close(self) -> str:
        """All that was written."""
        self.file.close()
        self._reader.join()
        os.close(self._read)
        return self.text


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    if not opened.file.closed:
        opened.close()


def console_on(terminal: Terminal, width: int = 80, height: int = 24) -> Console:
    return Console(file=terminal.file, width=width, height=height, _environ=XTERM)


def show_until(shown: screen.Screen, view: FloorView, looks: int) -> None:
    """Show until so many frames have been asked for."""
    seen = 0

    def look() -> FloorView:
        nonlocal seen
        seen += 1
        return view

    while seen < looks:
        shown.show(look)


def test_a_terminal_is_given_the_floor_and_given_back(terminal: Terminal) -> None:
    terminal.read()
    with watch(console_on(terminal)) as shown:
        show_until(shown, floor(line()), 3)
    text = terminal.close()
    assert text.count("PLC epoch") == 3
    assert text.index("\x1b[?1049h") < text.index("PLC epoch") < text.index("\x1b[?1049l")
    assert text.rindex("\x1b[?25h") > text.rindex("PLC epoch")  # the cursor is seen again


def test_a_terminal_that_does_not_read_holds_up_nobody(terminal: Terminal) -> None:
    """One frame of 120,000 cells is more than a pseudo-terminal keeps: while nobody reads, no second is asked for."""
    views: list[FloorView] = []

    def look() -> FloorView:
        views.append(floor(line(bins=along(60, 1.0, 239.0))))
        return views[-1]

    with watch(console_on(terminal, 400, 300)) as shown, ExitStack() as unread:
        unread.callback(terminal.read)  # also when the test fails: the screen ends when its frame is taken
        begun_s = time.monotonic()
        while time.monotonic() < begun_s + 5 * screen.FRAME_S:
            shown.show(look)
        assert len(views) == 1
        unread.close()
        while len(views) == 1:
            shown.show(look)
    assert terminal.close().count("PLC epoch") == 2


def test_stderr_of_the_same_terminal_is_kept_until_the_end(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", terminal.file)
    terminal.read()
    with watch(console_on(terminal)) as shown:
        show_until(shown, floor(line()), 1)
        sys.stderr.write("a warning")
    text = terminal.close()
    assert text.index("a warning") > text.index("\x1b[?1049l")


@pytest.mark.parametrize("height", [24, 3000])
def test_a_terminal_that_is_lost_is_told_of_once_and_ends_nothing(
    height: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is closed when it has taken a small frame, and while it has no room for a large one."""
    other, written = pty.openpty()
    terminal = os.fdopen(written, "w", encoding="utf-8")
    looks, told = 0, ""

    def look() -> FloorView:
        nonlocal looks
        looks += 1
        return floor(line())

    with watch(Console(file=terminal, width=80, height=height, _environ=XTERM)) as shown:
        shown.show(look)
        while not (shown._frame and (shown._frame.done() or terminal_is_full(written))):
            time.sleep(0.001)
        os.close(other)
        begun_s = time.monotonic()
        while "the terminal is lost" not in told:
            shown.show(look)
            told += capsys.readouterr().err
            assert time.monotonic() < begun_s + PATIENCE_S
        seen = looks
        for _ in range(3):
            time.sleep(screen.FRAME_S)
            shown.show(look)
    assert looks == seen
    assert "lost" not in capsys.readouterr().err
    with suppress(OSError):
        terminal.close()  # a part of the frame may be in it still


def terminal_is_full(written: int) -> bool:
    return not select.select([], [written], [], 0)[1]


def test_what_cannot_be_drawn_is_raised(terminal: Terminal) -> None:
    terminal.read()
    with watch(console_on(terminal)) as shown, pytest.raises(TypeError):
        show_until(shown, floor(line(name=None)), 2)


@pytest.mark.parametrize("lacks", ["terminal", "cursor", "UTF-8"])
def test_what_cannot_show_a_floor_is_not_drawn_on(
    lacks: str, terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = io.StringIO()
    ascii_terminal = open(terminal.file.fileno(), "w", encoding="ascii", closefd=False)  # noqa: SIM115 # shared with its owner
    console = {
        "terminal": Console(file=pipe, _environ=XTERM | {"FORCE_COLOR": "1"}),
        "cursor": Console(file=terminal.file, _environ={"TERM": "dumb"}),
        "UTF-8": Console(file=ascii_terminal, _environ=XTERM),
    }[lacks]
    terminal.read()
    with closing(ascii_terminal), watch(console) as shown:
        shown.show(lambda: pytest.fail("looked at a floor that nobody can see"))
    assert "the floor is not drawn" in capsys.readouterr().err
    assert terminal.close() + pipe.getvalue() == ""
