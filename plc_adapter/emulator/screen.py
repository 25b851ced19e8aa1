"""The floor in the terminal: each line's belt, parcels, chutes and PLC, as large as the window allows.

A picture is made of plain data alone and never exceeds its window. Grey is the machine, one colour is
what needs somebody now, and what a colour says a letter or a word says too. Belts never wait for the
terminal: a thread of its own writes it, and a frame that it has no time for is left out.
"""

from __future__ import annotations

import errno
import io
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, redirect_stderr
from typing import Final, NamedTuple

from rich.console import Console
from rich.live import Live

from plc_adapter.emulator.line import Line
from plc_adapter.emulator.picture import Cell, Ink, Picture, columns_of
from plc_adapter.emulator.plant import BLOCKED, CHANGING, FULL, OPEN, Bin, Rider

FRAME_S: Final = 0.1
LOOP: Final = "cross-belt"

LEVELS: Final = "▁▂▃▄▅▆▇"  # an open chute, by how full it is
LETTERS: Final = {FULL: "F", BLOCKED: "X", CHANGING: "C"}
SCANNER: Final = "▾"
INDUCT: Final = "▴"
MARKS: Final = f"{SCANNER} scanner  {INDUCT} induct"
LEGEND: Final = "▁▄▇ open, how full  F full  C changing  X blocked  ◦ untold  • told  ○● several"

NARROW: Final = 40  # columns below which a line is told in words
LOOP_ROWS: Final = 9  # title, four rows inside the loop, its two strands with a row of chutes beyond each
STRIP_ROWS: Final = 6  # title, the belt with a row of chutes on either side, two rows of figures
LABEL_ROWS: Final = 2  # of chute numbers
INSIDE_ROWS_MAX: Final = 8
FAULT_ROWS: Final = 3  # kept free, so that the first fault does not move the lines
BRIEF: Final = 6  # the figures that stand in one row

_STATES: Final = (("blocked", BLOCKED, Ink.WRONG), ("full", FULL, Ink.WRONG), ("changing", CHANGING, Ink.STRONG))
_INK: Final = {OPEN: Ink.PLAIN} | {state: ink for _, state, ink in _STATES}


class LineView(NamedTuple):
    """What is drawn of one line. `kind` "cross-belt" is a loop, any other a straight belt.

    Parcels enter `lead_m` before the scanner. `end_chute` takes what runs off a straight belt; 0: none.
    """

    name: str
    kind: str
    lap_m: float
    lead_m: float
    speed_m_s: float
    riders: Sequence[Rider]
    bins: Sequence[Bin]
    end_chute: int
    inducted: int
    dropped: int
    missed: int
    jams: int
    late: int
    bags: int
    strays: int
    epoch: int
    host_alive: bool
    unread: int
    stands: bool  # the belt does not move


class FloorView(NamedTuple):
    """What is drawn of a floor: `items` of the whole day, `faults` as sentences, the latest last."""

    site_time: str
    rate: float
    items: int
    lines: Sequence[LineView]
    faults: Sequence[str] = ()


def view_of(line: Line) -> LineView:
    """What there is to draw of a line at this moment."""
    plant, belt = line.plant, line.plant.belt
    return LineView(
        name=line.name,
        kind=belt.kind,
        lap_m=belt.lap_m,
        lead_m=belt.induct_to_scanner_m,
        speed_m_s=belt.speed_m_s,
        riders=plant.riders(),
        bins=plant.bins(),
        end_chute=belt.end_chute,
        inducted=plant.inducted,
        dropped=plant.dropped,
        missed=plant.missed,
        jams=plant.jams,
        late=line.program.late,
        bags=plant.bags,
        strays=plant.strays,
        epoch=plant.epoch,
        host_alive=plant.host_alive,
        unread=line.program.unread,
        stands=plant.stands,
    )


def draw(floor: FloorView, width: int, height: int) -> Picture:
    """A floor in a window of `width` columns and `height` rows."""
    picture = Picture(width, height)
    _header(picture, floor)
    share = max(1, (height - 2 - FAULT_ROWS) // max(1, len(floor.lines)))
    top = 1
    gap = 1 if share > LOOP_ROWS + 2 * LABEL_ROWS else 0
    for drawn, view in enumerate(floor.lines):
        top += gap
        if top + share - gap >= height:
            left = len(floor.lines) - drawn
            picture.put((height - 1, 1), f"+{left} lines: make the window higher", Ink.WRONG)
            return picture
        top += _line(picture, top, share - gap, view)
    _faults(picture, top + gap, floor.faults)
    picture.put((height - 1, 1), LEGEND, Ink.GREY)
    return picture


def _header(picture: Picture, floor: FloorView) -> None:
    inducted = sum(view.inducted for view in floor.lines)
    column = picture.put((0, 1), floor.site_time, Ink.STRONG)
    column = picture.put((0, column + 2), f"×{floor.rate:g}")
    column = picture.put((0, column + 2), "inducted", Ink.GREY)
    column = picture.put((0, column + 1), f"{inducted} of {floor.items}")
    start = picture.width - 1 - columns_of(MARKS)
    if start > column:
        picture.put((0, start), MARKS, Ink.GREY)


def _faults(picture: Picture, top: int, faults: Sequence[str]) -> None:
    room = picture.height - 1 - top
    for at, fault in enumerate(faults[-room:] if room > 0 else ()):
        picture.put((top + at, 1), fault, Ink.PLAIN if at + 1 == min(room, len(faults)) else Ink.GREY)


def _line(picture: Picture, top: int, rows: int, view: LineView) -> int:
    """Draw a line in at most so many rows; the rows it took."""
    _title(picture, top, view)
    if picture.width >= NARROW and view.kind == LOOP and rows >= LOOP_ROWS:
        return _loop_line(picture, top, rows, view)
    if picture.width >= NARROW and rows >= STRIP_ROWS:
        return _strip_line(picture, top, rows, view)
    told = min(rows, 3)
    _say(picture, (top + 1, 1), picture.width - 2, told - 1, view)
    return told


class _Place(NamedTuple):
    """One cell of a belt, and the cells beside it where a chute can stand."""

    cell: Cell
    glyph: str
    beside: tuple[Cell, ...]


class _Track(NamedTuple):
    """A belt's cells in the order a parcel passes them; the first begins `start_m` from the scanner."""

    places: list[_Place]
    start_m: float
    length_m: float

    def place(self, position_m: float) -> int:
        """Which of the places a position lies in."""
        at = int((position_m - self.start_m) / self.length_m * len(self.places))
        return min(max(at, 0), len(self.places) - 1)


def _loop_line(picture: Picture, top: int, rows: int, view: LineView) -> int:
    """A closed track that parcels ride clockwise, from the scanner at its upper left."""
    outer = 1 if any(bin_.position_m < view.lap_m / 2 for bin_ in view.bins) else 0
    label = 1 if rows >= LOOP_ROWS + 2 * outer else 0
    inside_rows = min(rows - 4 - outer - label * (1 + outer), INSIDE_ROWS_MAX)
    upper = top + 1 + outer + label * outer
    lower = upper + inside_rows + 1
    track = _Track(_loop(upper, lower, picture.width, outer=bool(outer)), 0.0, view.lap_m)
    labels = {lower + 1: lower + 2, upper - 1: upper - 2} if label else {}
    for column, row, corner in zip((1, -2, -2, 1), (upper, upper, lower, lower), f"{SCANNER}╮╯╰", strict=True):
        picture.put((row, column % picture.width), corner, Ink.GREY)
    induct = track.places[track.place(view.lap_m - view.lead_m)].beside[0]
    picture.put(induct, INDUCT, Ink.GREY)
    _belt(picture, track, view, {induct}, labels)
    _say(picture, (upper + 2, 4), picture.width - 8, inside_rows - 2, view)
    return lower + 2 + label - top


def _loop(upper: int, lower: int, width: int, *, outer: bool) -> list[_Place]:
    """Its cells clockwise without the corners; `outer`: chutes can stand beyond the upper strand too."""
    left, right = 1, width - 2
    middle = (upper + lower) // 2
    above = [_Place((upper, at), "─", ((upper - 1, at), (upper + 1, at))[not outer :]) for at in range(left + 1, right)]
    below = [_Place((lower, at), "─", ((lower + 1, at), (lower - 1, at))) for at in range(left + 1, right)]

    def side(column: int, out: int, arrow: str) -> list[_Place]:
        return [
            _Place(
                (row, column),
                arrow if row == middle else "│",
                ((row, column + out), (row, column - out))[: 2 if upper + 1 < row < lower - 1 else 1],
            )
            for row in range(upper + 1, lower)
        ]

    return above + side(right, 1, "↓") + below[::-1] + side(left, -1, "↑")[::-1]


def _strip_line(picture: Picture, top: int, rows: int, view: LineView) -> int:
    label = 1 if rows >= STRIP_ROWS + LABEL_ROWS else 0
    row = top + 2 + label
    end = picture.width - 3
    places = [_Place((row, at), "─", ((row - 1, at), (row + 1, at))) for at in range(1, end)]
    if view.kind == LOOP:
        track, induct_m, onward = _Track(places, 0.0, view.lap_m), view.lap_m - view.lead_m, "↻"
    else:
        track, induct_m, onward = _Track(places, -view.lead_m, view.lap_m + view.lead_m), -view.lead_m, "▸"
    marks = {
        track.places[track.place(position_m)].beside[0]: mark
        for position_m, mark in ((induct_m, INDUCT), (0.0, SCANNER))
    }
    for cell, mark in marks.items():
        picture.put(cell, mark, Ink.GREY)
    labels = {row - 1: row - 2, row + 1: row + 2} if label else {}
    _belt(picture, track, view, set(marks), labels)
    picture.put((row, end), onward, Ink.GREY)
    for bin_ in view.bins:
        if bin_.chute == view.end_chute:
            picture.put((row, end + 1), _chute_glyph(bin_), _INK[bin_.state])
    below = row + 2 + label
    told = min(rows - (below - top), 3)
    return below - top + _say(picture, (below, 1), picture.width - 2, told, view)


def _belt(picture: Picture, track: _Track, view: LineView, kept: set[Cell], labels: Mapping[int, int]) -> None:
    """A belt's cells, chutes and parcels. No chute stands on a `kept` cell; `labels`: the row of a row's numbers."""
    for place in track.places:
        picture.put(place.cell, place.glyph, Ink.GREY)
    stands = _stands(track, [bin_ for bin_ in view.bins if bin_.chute != view.end_chute], kept)
    for cell, bin_ in stands.items():
        picture.put(cell, _chute_glyph(bin_), _INK[bin_.state])
    _label(picture, stands, labels)
    _ride(picture, track, view.riders)


def _stands(track: _Track, bins: Sequence[Bin], kept: set[Cell]) -> dict[Cell, Bin]:
    """Where each chute is drawn: as near behind its position as its neighbours leave room, in their order."""
    slots = [(index, cell) for index, place in enumerate(track.places) for cell in place.beside if cell not in kept]
    indices = [index for index, _ in slots]
    in_order = sorted(bins, key=lambda bin_: (bin_.position_m, bin_.chute))[: len(slots)]
    stands: dict[Cell, Bin] = {}
    slot = -1
    for at, bin_ in enumerate(in_order):
        nearest = bisect_left(indices, track.place(bin_.position_m))
        slot = min(max(nearest, slot + 1), len(slots) - len(in_order) + at)
        stands[slots[slot][1]] = bin_
    return stands


def _chute_glyph(bin_: Bin) -> str:
    if bin_.state != OPEN:
        return LETTERS[bin_.state]
    filled = bin_.count / bin_.full_at if bin_.full_at else 0.0
    return LEVELS[min(int(filled * len(LEVELS)), len(LEVELS) - 1)]


def _label(picture: Picture, stands: Mapping[Cell, Bin], labels: Mapping[int, int]) -> None:
    """Number as many of the chutes as there is room for."""
    free = dict.fromkeys(labels, 0)
    for (row, column), bin_ in sorted(stands.items(), key=lambda stand: stand[0]):
        text = str(bin_.chute)
        start = min(column - len(text) // 2, picture.width - len(text))
        if row in labels and start >= free[row]:
            picture.put((labels[row], start), text, Ink.GREY if bin_.state == OPEN else _INK[bin_.state])
            free[row] = start + len(text) + 1


def _ride(picture: Picture, track: _Track, riders: Sequence[Rider]) -> None:
    at = Counter(track.place(rider.position_m) for rider in riders)
    told = {track.place(rider.position_m) for rider in riders if rider.chute}
    for index, count in at.items():
        one, several = ("•", "●") if index in told else ("◦", "○")
        picture.put(track.places[index].cell, one if count == 1 else several)


class _Figure(NamedTuple):
    word: str
    value: str
    ink: Ink = Ink.PLAIN

    @property
    def width(self) -> int:
        return len(self.word) + len(self.value) + (1 if self.word and self.value else 0)


def _title(picture: Picture, top: int, view: LineView) -> None:
    """The line's name, its PLC, and between them as much of its measures as there is room for."""
    column = picture.put((top, 1), view.name, Ink.STRONG) + 2
    if view.stands:
        column = picture.put((top, column), "STANDS", Ink.WRONG) + 2
    host = _Figure("host", "alive") if view.host_alive else _Figure("host", "SILENT", Ink.WRONG)
    plc = [_Figure("PLC epoch", str(view.epoch)), host, _Figure("unread", str(view.unread))]
    start = max(column, picture.width + 1 - sum(figure.width + 2 for figure in plc))
    for measures in (f"{view.kind}  {view.lap_m:g} m  {view.speed_m_s:g} m/s", view.kind):
        if column + len(measures) + 2 <= start:
            picture.put((top, column), measures, Ink.GREY)
            break
    _write(picture, (top, start), [plc], picture.width)


def _say(picture: Picture, cell: Cell, width: int, rows: int, view: LineView) -> int:
    """A line's figures and the chutes that are not open, in the middle of at most so many rows; the rows."""
    if rows < 1:
        return 0
    figures = _figures(view)
    counted = _flow(figures if rows > 2 else figures[:BRIEF], width, max(1, rows - 1))
    shut = _flow(_shut(view), width, rows - len(counted))
    top = cell[0] + (rows - len(counted) - len(shut)) // 2
    _write(picture, (top, cell[1]), counted + shut, cell[1] + width)
    return rows


def _figures(view: LineView) -> list[_Figure]:
    again = sum(rider.lap > 0 for rider in view.riders)
    counts = {
        "inducted": view.inducted,
        "dropped": view.dropped,
        "on belt": view.inducted - view.dropped,
        "missed": view.missed,
        "jams": view.jams,
        "late": view.late,
        "on a further lap": again,
        "bags changed": view.bags,
        "stray orders": view.strays,
    }
    return [_Figure(word, str(count)) for word, count in counts.items()]


def _shut(view: LineView) -> list[_Figure]:
    """The chutes that are not open, by state; the state's word stands before the first."""
    shut: list[_Figure] = []
    for word, state, ink in _STATES:
        numbers = [str(bin_.chute) for bin_ in view.bins if bin_.state == state]
        shut += [_Figure("" if at else word, number, ink) for at, number in enumerate(numbers)]
    return shut or [_Figure(f"all {len(view.bins)} chutes open", "")]


def _flow(figures: Sequence[_Figure], width: int, rows: int) -> list[list[_Figure]]:
    """Figures in at most so many rows; the last says how many had no room."""
    if rows < 1:
        return []
    lines: list[list[_Figure]] = [[]]
    column = 0
    for at, figure in enumerate(figures):
        last = len(lines) == rows
        more = _Figure(f"+{len(figures) - at} more", "")
        room = width - (more.width + 2 if last and at + 1 < len(figures) else 0)
        if column + figure.width > room:
            if last:
                lines[-1].append(more)
                break
            lines.append([])
            column = 0
        lines[-1].append(figure)
        column += figure.width + 2
    return lines


def _write(picture: Picture, cell: Cell, lines: Sequence[Sequence[_Figure]], end: int) -> None:
    """Rows of figures from a cell on, none beyond the column `end`."""
    for row, line in enumerate(lines, cell[0]):
        column = cell[1]
        for word, value, ink in line:
            column = picture.put((row, column), word, Ink.GREY, end)
            column = picture.put((row, column + (1 if word and value else 0)), value, ink, end) + 2


class Screen:
    """Shows a floor in a terminal: `show` it as often as you like, ten frames a second are drawn at most."""

    def __init__(self, live: Live | None) -> None:
        """Draws nothing without a live display."""
        self._live = live
        self._painter = ThreadPoolExecutor(1, "screen")
        self._frame: Future[None] | None = None
        self._due_s = 0.0
        self._is_lost = False

    def show(self, look: Callable[[], FloorView]) -> None:
        """Draw what `look` sees, unless it is too soon or the terminal has not taken the frame before.

        Never waits. A terminal that is lost is told of once, and drawn on no more. Raises whatever else kept the
        frame before from being drawn.
        """
        now_s = time.monotonic()
        if self._live is None or self._is_lost or now_s < self._due_s or (self._frame and not self._frame.done()):
            return
        try:
            if self._frame:
                self._frame.result()
        except OSError as error:
            self._lose(error)
            return
        self._due_s = now_s + FRAME_S
        self._frame = self._painter.submit(self._paint, self._live, look())

    def close(self) -> None:
        """Give the terminal back when it has taken the frame that is under way."""
        self._painter.shutdown()
        if self._live is None:
            return
        try:
            self._live.stop()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if not self._is_lost:
            sys.stderr.write(f"the floor is drawn no more, and its day goes on: the terminal is lost ({error})\n")
        self._is_lost = True

    @staticmethod
    def _paint(live: Live, floor: FloorView) -> None:
        if not live.console.is_terminal:  # then rich would write nothing, and say nothing
            raise OSError(errno.EIO, "it was closed")
        live.update(draw(floor, *live.console.size), refresh=True)


@contextmanager
def watch(console: Console | None = None) -> Iterator[Screen]:
    """A screen on the console (stdout) while it lasts; where that cannot be, it says so and draws nothing.

    What is written to a stderr on a terminal meanwhile would tear the picture: it is kept, and written at the end.
    """
    console = console or Console()
    if not console.file.isatty() or not console.is_interactive or console.options.ascii_only:
        sys.stderr.write("the floor is not drawn: stdout is not a terminal that can place its cursor and show UTF-8\n")
        yield Screen(None)
        return
    kept = io.StringIO()
    live = Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    try:
        with redirect_stderr(kept if sys.stderr.isatty() else sys.stderr), closing(Screen(live)) as screen:
            live.start()
            yield screen
    finally:
        sys.stderr.write(kept.getvalue())
