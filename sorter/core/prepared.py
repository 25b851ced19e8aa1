"""A plan made ready for the kernels, once per plan: the same answers with fewer steps.

Nothing here decides. `prepare` is a pure function of the plan, so replay prepares the same.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sorter import limits
from sorter.core.jit import COMMON_WORDS
from sorter.core.manifest import LINE_WORDS, new_lines
from sorter.reasons import REASON_COUNT
from sorter.records import (
    LINE,
    NONE_16,
    PATTERN,
    TRIP,
    Bits,
    Bytes,
    Ints32,
    Names,
    Plan,
    Rows,
    SortCodes,
    SortPlan,
    Table,
    Target,
    Waybills,
    Words16,
    Words32,
)

CELLS: Final = 1 << 14  # 16 g, 4 mm
RUN_AT: Final = 16
STATE_MASK: Final = (1 << RUN_AT) - 1
LENGTH_MAX_MM: Final = limits.SIZE_MAX_MM


def _digits() -> Bytes:
    """Byte -> base-40 digit as in records.waybill_key; 0: no waybill has this byte."""
    digits = np.zeros(256, np.uint8)
    for digit, char in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-./", start=1):
        digits[ord(char)] = digits[ord(char.lower())] = digit
    return digits


DIGITS: Final = _digits()


class Automaton(NamedTuple):
    """Waybills with rows of a power of two, so that a step needs no multiplication."""

    symbols: Bytes  # [256] byte -> class; a byte without digit has one that only kills, zero one that stays
    next_state: Words16  # [states << class_bits]
    runs: Words32  # [states] digits that the state demands << RUN_AT, and the state after them
    class_bits: int
    accepts: Bits  # [states]
    patterns: Rows  # PATTERN[p]


class Ruler(NamedTuple):
    """Edges with a grid over them: a cell says where to begin, and few steps remain."""

    cells: Words16  # [CELLS + 1] interval of the cell's first value
    edges: Ints32  # ascending, one more at the end that nothing reaches
    cell_bits: int  # a cell is value >> cell_bits
    steps: int  # edges in the fullest cell
    value_max: int  # larger values count as this


class Rules(NamedTuple):
    """The decision table with rulers in place of edges; see records.Table. Its vectors are whole cache lines."""

    station: Bits
    kind: Bits
    weight_ruler: Ruler
    weight: Bits
    length_ruler: Ruler
    length: Bits
    minute_edges: Ints32
    minute: Bits
    target_kind: Bytes
    target: Words16
    row: Words16


class Prepared(NamedTuple):
    """records.Plan with an Automaton for its waybills and Rules for its table."""

    automaton: Automaton
    rules: Rules
    sort_codes: SortCodes
    station_lane: Words16
    lane_spill: Words16
    trip_at: Words32
    trips: Rows
    chute_at: Words32
    lane_chutes: Words16  # and one more at the end that is none
    chute_line: Bytes
    chute_lane: Words16
    chute_capacity: Words32
    exception_chute: Words16
    lines: Rows
    services: int
    utc_offset_ns: int


def prepare(plan: Plan) -> Prepared:
    """Raises ValueError when the plan is larger than sorter.limits allows: kernels index their state by it unasked."""
    sizes = {
        "stations": (len(plan.station_lane), limits.STATIONS_MAX),
        "lanes": (len(plan.lane_spill), limits.LANES_MAX),
        "trips": (len(plan.trips), limits.TRIPS_MAX),
        "chutes": (len(plan.chute_line), limits.CHUTES_MAX),
        "lines": (len(plan.lines), limits.LINES_MAX),
    }
    sizes["items in a chute"] = (int(plan.chute_capacity.max(initial=0)), limits.CAPACITY_MAX)
    for name, (count, most) in sizes.items():
        if count > most:
            raise ValueError(f"the plan has {count} {name}; the core takes {most}")
    return _prepared(plan)


def _prepared(plan: Plan) -> Prepared:
    fields = plan._asdict()
    automaton, rules = _automaton(fields.pop("waybills")), _rules(fields.pop("table"))
    fields["lane_chutes"] = np.append(plan.lane_chutes, np.uint16(NONE_16))
    return Prepared(automaton, rules, **fields)


def hold_together(sort_plan: SortPlan) -> None:
    """Raises ValueError when an array is not as long as another says, or an index leads nowhere.

    Kernels index by a plan unasked, so one that comes from outside passes here first. An array of
    fewer dimensions than it should have raises IndexError.
    """
    plan, names = sort_plan.plan, sort_plan.names
    for name, length, wanted in _lengths(plan, names):
        if length != wanted:
            raise ValueError(f"{name} has {length} entries, not {wanted}")
    for name, indices, size, may_be_none in _indices(plan, names):
        none = np.iinfo(indices.dtype).max if may_be_none else -1
        if bool(((indices >= size) & (indices != none)).any()):
            raise ValueError(f"{name} holds an index beyond {size}")
    for name, starts in (("trip_at", plan.trip_at), ("chute_at", plan.chute_at)):
        if bool((np.diff(starts.astype(np.int64)) < 0).any()):
            raise ValueError(f"{name} goes back")


_TITLES: Final = {
    "carrier_titles": "carriers",
    "station_titles": "stations",
    "station_townships": "stations",
    "lane_titles": "lanes",
    "lane_kinds": "lanes",
}


def _lengths(plan: Plan, names: Names) -> Iterator[tuple[str, int, int]]:
    """Of each array its length, and what others say it must be."""
    lanes, chutes, lines = len(names.lanes), len(names.chutes), len(names.lines)
    table, codes, waybills = plan.table, plan.sort_codes, plan.waybills
    rows, words = len(table.row), max(1, -(-len(table.row) // 64))
    for titles, named in _TITLES.items():
        yield f"names.{titles}", len(getattr(names, titles)), len(getattr(names, named))
    yield "station_lane", len(plan.station_lane), len(names.stations)
    yield "lane_spill", len(plan.lane_spill), lanes
    yield "trip_at", len(plan.trip_at), lanes + 1
    yield "trips", len(plan.trips), int(plan.trip_at[-1])
    yield "chute_at", len(plan.chute_at), lines * lanes + 1
    yield "lane_chutes", len(plan.lane_chutes), int(plan.chute_at[-1])
    for name in ("chute_line", "chute_lane", "chute_capacity"):
        yield name, len(getattr(plan, name)), chutes
    yield "exception_chute", plan.exception_chute.size, lines * REASON_COUNT
    yield "lines", len(plan.lines), lines
    yield "services", plan.services, len(names.services)
    for name in ("key_lo", "carrier", "station"):
        yield f"sort_codes.{name}", len(getattr(codes, name)), len(codes.key_hi)
    for name in ("target", "target_kind"):
        yield f"table.{name}", len(getattr(table, name)), rows
    vectors = {
        "station": len(names.stations),
        "kind": 2 * len(names.services) * len(names.carriers),
        "weight": len(table.weight_edges) + 2,
        "length": len(table.length_edges) + 2,
        "minute": 7 * (len(table.minute_edges) + 1),
    }
    for name, count in vectors.items():
        yield f"table.{name}", len(getattr(table, name)), count
        yield f"words of table.{name}", getattr(table, name).shape[1], words
    yield "waybills.classes", len(waybills.classes), 256
    yield "waybills.accepts", len(waybills.accepts), waybills.next_state.shape[0]


def _indices(plan: Plan, names: Names) -> Iterator[tuple[str, NDArray[Any], int, bool]]:
    """Each array of indices, how many there are of what it names, and whether none may be meant."""
    lanes, chutes, lines = len(plan.lane_spill), len(plan.chute_line), len(plan.lines)
    yield "station_townships", np.array(names.station_townships, np.uint64), len(names.townships), False
    yield "station_lane", plan.station_lane, lanes, True
    yield "lane_spill", plan.lane_spill, lanes, True
    yield "lane_chutes", plan.lane_chutes, chutes, False
    yield "chute_line", plan.chute_line, lines, True
    yield "chute_lane", plan.chute_lane, lanes, True
    yield "exception_chute", plan.exception_chute, chutes, True
    yield "waybills.next_state", plan.waybills.next_state, len(plan.waybills.next_state), False
    yield "waybills.patterns", plan.waybills.patterns["carrier"], plan.table.kind.shape[0] // (2 * plan.services), False
    yield "sort_codes", plan.sort_codes.station, len(plan.station_lane), False
    for kind, size in ((Target.LANE, lanes), (Target.CHUTE, chutes), (Target.REJECT, REASON_COUNT)):
        yield f"target {kind.name}", plan.table.target[plan.table.target_kind == kind], size, False


def _automaton(waybills: Waybills) -> Automaton:
    states, classes = waybills.next_state.shape
    if states > limits.WAYBILL_STATES_MAX or classes > 254 or int(waybills.classes.max()) >= classes:
        raise ValueError(f"the waybill automaton has {states} states, {classes} classes; the core takes 4096, 254")
    kills, stays = classes, classes + 1
    class_bits = stays.bit_length()
    rows = np.zeros((states, 1 << class_bits), np.uint16)
    rows[:, :classes] = waybills.next_state
    rows[:, stays] = np.arange(states)
    symbols = np.where(DIGITS > 0, waybills.classes, kills).astype(np.uint8)
    symbols[0] = stays
    return Automaton(symbols, rows.ravel(), _runs(waybills), class_bits, waybills.accepts, waybills.patterns)


def _runs(waybills: Waybills) -> Words32:
    """How many digits lead on from each state, whichever they are, up to the next that accepts; and that state."""
    by_digit = waybills.next_state[:, waybills.classes[ord("0") : ord("9") + 1]]
    after = np.where((by_digit == by_digit[:, :1]).all(axis=1), by_digit[:, 0], 0)
    state, count = np.arange(len(after)), np.zeros(len(after), np.uint32)
    going = after > 0
    for _ in range(limits.WAYBILL_TEXT_MAX):
        state = np.where(going, after[state], state)
        count += going
        going &= (after[state] > 0) & (waybills.accepts[state] == 0)
    return state.astype(np.uint32) | count << np.uint32(RUN_AT)


def _ruler(edges: Ints32, value_max: int) -> Ruler:
    cell_bits = max(0, value_max.bit_length() - CELLS.bit_length() + 1)
    starts = np.arange(CELLS + 1, dtype=np.int64) << cell_bits
    cells = np.searchsorted(edges, starts, side="right")
    steps = int(np.diff(cells).max(initial=0))
    padded = np.append(edges, np.int32(2**31 - 1)).astype(np.int32)
    return Ruler(cells.astype(np.uint16), padded, cell_bits, steps, value_max)


def _in_lines(vectors: Bits) -> Bits:
    """Bit vectors that begin with a cache line, with zeros up to a multiple of COMMON_WORDS."""
    count, words = vectors.shape
    length = -(-words // COMMON_WORDS) * COMMON_WORDS
    padded: Bits = new_lines(count * length // LINE_WORDS).reshape(count, length)
    padded[:, :words] = vectors
    return padded


def _rules(table: Table) -> Rules:
    return Rules(
        station=_in_lines(table.station),
        kind=_in_lines(table.kind),
        weight_ruler=_ruler(table.weight_edges, limits.WEIGHT_MAX_G),
        weight=_in_lines(table.weight),
        length_ruler=_ruler(table.length_edges, LENGTH_MAX_MM),
        length=_in_lines(table.length),
        minute_edges=table.minute_edges,
        minute=_in_lines(table.minute),
        target_kind=table.target_kind,
        target=table.target,
        row=table.row,
    )


def _example() -> Prepared:
    bits, words = np.zeros((1, 1), np.uint64), np.zeros(1, np.uint16)
    edges, octets = np.zeros(0, np.int32), np.zeros(256, np.uint8)
    starts, keys = np.zeros(1, np.uint32), np.zeros(0, np.uint64)
    plan = Plan(
        waybills=Waybills(octets, np.zeros((1, 1), np.uint16), bits[0], np.zeros(0, PATTERN)),
        table=Table(bits, bits, edges, bits, edges, bits, edges, bits, octets, words, words),
        sort_codes=SortCodes(keys, keys, octets, words),
        station_lane=words,
        lane_spill=words,
        trip_at=starts,
        trips=np.zeros(0, TRIP),
        chute_at=starts,
        lane_chutes=words,
        chute_line=octets,
        chute_lane=words,
        chute_capacity=starts,
        exception_chute=np.zeros((1, 1), np.uint16),
        lines=np.zeros(0, LINE),
        services=1,
        utc_offset_ns=0,
    )
    return _prepared(plan)


EXAMPLE: Final = _example()
"""What the arrays of every plan must look like to the kernels: dtypes and dimensions."""
