"""From what is known of an item to the row that decides it: the decision table and the sort codes."""

from typing import Any, Final, NamedTuple

from sorter.core.barcode import prefix_key
from sorter.core.jit import COMMON_WORDS, common_words, i64, inlined, kernel, prefetch_pair, trailing_zeros, u64
from sorter.core.prepared import Prepared, Ruler
from sorter.core.state import State
from sorter.core.trips import DAY_NS, MINUTE_NS, week_ns
from sorter.records import NONE_8, NONE_16, Bytes, Ints32, SortCodes, Words32

DASH: Final = ord("-")
FOR_EVER_NS: Final = (1 << 63) - 1


class Parcel(NamedTuple):
    """What the decision table asks of an item; a weight or length of 0 was not measured."""

    station: int
    carrier: int
    service: int
    flow: int
    weight_g: int
    length_mm: int


@kernel
def interval(edges: Ints32, value: int) -> int:
    """How many of the ascending edges are at most `value`."""
    low, size = 0, len(edges)
    while size > 0:
        half = size >> 1
        above = edges[low + half] <= value
        low = low + half + 1 if above else low
        size = size - half - 1 if above else half
    return low


@inlined
def measure(ruler: Ruler, value: int) -> int:
    """As `interval`, with the same few steps for every value."""
    bounded = min(value, ruler.value_max)
    edges = ruler.edges
    found = i64(ruler.cells[bounded >> ruler.cell_bits])
    for _ in range(ruler.steps):
        found += 1 if edges[found] <= bounded else 0
    return found


@inlined
def vectors_of(plan: Prepared, who: Parcel) -> tuple[int, int, int]:
    """The vectors of kind, weight and length that an item asks; kind -1: no row is for it."""
    rules = plan.rules
    weight, length = measure(rules.weight_ruler, who.weight_g), measure(rules.length_ruler, who.length_mm)
    if who.weight_g <= 0:
        weight = len(rules.weight) - 1
    if who.length_mm <= 0:
        length = len(rules.length) - 1
    kind = (who.carrier * plan.services + who.service) * 2 + who.flow
    return (kind if who.service < plan.services and kind < len(rules.kind) else -1), weight, length


@inlined
def send_for_vectors(plan: Prepared, station: int, kind: int, weight: int, length: int) -> None:
    """Ask memory for where the vectors begin; the minute's are the same for all."""
    rules = plan.rules
    prefetch_pair(rules.station, station)
    prefetch_pair(rules.kind, max(kind, 0))
    prefetch_pair(rules.weight, weight)
    prefetch_pair(rules.length, length)


@inlined
def find_row(plan: Prepared, who: Parcel, minute: int) -> int:
    """The first row whose bit is set in one vector of every dimension; -1: none."""
    kind, weight, length = vectors_of(plan, who)
    return first_row(plan, who.station, kind, weight, length, minute)


@inlined
def first_row(plan: Prepared, station: int, kind: int, weight: int, length: int, minute: int) -> int:
    """As `find_row`, for vectors that are known."""
    if kind < 0:
        return -1
    rules = plan.rules
    by_station, by_kind, by_minute = rules.station[station], rules.kind[kind], rules.minute[minute]
    by_weight, by_length = rules.weight[weight], rules.length[length]
    for at in range(0, len(by_station), COMMON_WORDS):
        hits = common_words(by_station, by_kind, by_minute, by_weight, by_length, at)
        if hits != 0:
            word = at + trailing_zeros(u64(hits))
            bits = by_station[word] & by_kind[word] & by_minute[word] & by_weight[word] & by_length[word]
            return word * 64 + trailing_zeros(bits)
    return -1


@kernel
def look_at_clock(state: State, plan: Prepared, now_ns: int) -> None:
    """Bring state.work.moment up to `now_ns`: which patterns are valid, which interval of the day it is."""
    moment = state.work.moment[0]
    if now_ns >= moment["patterns_until_ns"]:
        _look_at_patterns(moment, plan, now_ns)
    if now_ns >= moment["minute_until_ns"]:
        edges = plan.rules.minute_edges
        local_ns = week_ns(plan, now_ns)
        minute_of_day = local_ns % DAY_NS // MINUTE_NS
        moment["minute"] = local_ns // DAY_NS * (len(edges) + 1) + interval(edges, minute_of_day)
        moment["minute_until_ns"] = now_ns - local_ns % MINUTE_NS + MINUTE_NS


@kernel
def _look_at_patterns(moment: Any, plan: Prepared, now_ns: int) -> None:
    valid = u64(0)
    until_ns = FOR_EVER_NS
    for pattern in range(len(plan.automaton.patterns)):
        from_ns = i64(plan.automaton.patterns[pattern]["valid_from_ns"])
        if from_ns <= now_ns:
            valid |= u64(1) << u64(pattern)
        else:
            until_ns = min(until_ns, from_ns)
    moment["patterns"] = valid
    moment["patterns_until_ns"] = until_ns


@kernel
def carriers_of(plan: Prepared, accepted: Any) -> Any:
    """The carriers whose patterns were fitted, one bit each."""
    carriers = u64(0)
    for pattern in range(len(plan.automaton.patterns)):
        if (accepted >> u64(pattern)) & u64(1) != u64(0):
            carriers |= u64(1) << u64(plan.automaton.patterns[pattern]["carrier"])
    return carriers


@kernel
def station_of_labels(
    plan: Prepared, codes: Bytes, rows: Words32, waybill_bits: Any, first: int, end: int, accepted: Any
) -> tuple[int, int]:
    """The station and carrier that the sort codes on a label name; NONE_16 when they name none, or two.

    Only codes that are no waybill count, and only sort codes of carriers whose pattern the waybill fits.
    """
    carriers = carriers_of(plan, accepted)
    station, carrier = NONE_16, NONE_8
    for at in range(first, end):
        if waybill_bits[at] != u64(0):
            continue
        named = _station_of_code(plan.sort_codes, codes[rows[at]], carriers)
        if named[0] == NONE_16:
            continue
        if station not in (NONE_16, named[0]):
            return NONE_16, NONE_8
        station, carrier = named
    return station, carrier


@kernel
def _station_of_code(sort_codes: SortCodes, code: Any, carriers: Any) -> tuple[int, int]:
    """Try the code, then what is left of it before each dash from the right."""
    length = i64(code[0])
    if length > len(code) - 1:
        return NONE_16, NONE_8
    while length > 0:
        hi, lo = prefix_key(code, min(length, 24))
        if hi != u64(0) and length <= 24:
            named = _named(sort_codes, hi, lo, carriers)
            if named[2]:
                return named[0], named[1]
        length -= 1
        while length > 0 and code[1 + length] != DASH:
            length -= 1
    return NONE_16, NONE_8


@kernel
def _named(sort_codes: SortCodes, hi: Any, lo: Any, carriers: Any) -> tuple[int, int, bool]:
    """The station and carrier of one key, and whether any of these carriers has it. Two carriers: no station."""
    low, high = 0, len(sort_codes.key_hi)
    while low < high:
        middle = (low + high) >> 1
        key_hi, key_lo = sort_codes.key_hi[middle], sort_codes.key_lo[middle]
        if key_hi < hi or (key_hi == hi and key_lo < lo):
            low = middle + 1
        else:
            high = middle
    station, carrier, found = NONE_16, NONE_8, False
    while low < len(sort_codes.key_hi) and sort_codes.key_hi[low] == hi and sort_codes.key_lo[low] == lo:
        if (carriers >> u64(sort_codes.carrier[low])) & u64(1) != u64(0):
            if found:
                return NONE_16, NONE_8, True
            station, carrier, found = i64(sort_codes.station[low]), i64(sort_codes.carrier[low]), True
        low += 1
    return station, carrier, found
