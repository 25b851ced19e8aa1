"""Where the tables alone send each parcel of recorded traffic, all at once: codes, advice, decision table, chutes.

What changes by the minute is not asked: no trip is full or gone, no chute is full, locked or blocked, and no parcel
has gone round before. A lane that has no chute on a parcel's line ends where too many laps end, as on the belt.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sorter import limits, records
from sorter.reasons import REASON_COUNT, Reason
from sorter.records import NONE_8, NONE_16, Bits, Bytes, Flow, Ints64, Plan, SortPlan, Table, Target, Words16
from sorter.rulebook.trial.recorded import Recorded

Flags = NDArray[np.bool_]

MINUTE_NS: Final = 60 * 10**9
DAY_MIN: Final = 24 * 60
EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday
VECTOR_BYTES: Final = 1 << 21  # of the decision table at a time: what stays in a processor's cache
NO_HIT: Final = -1
STANDARD: Final = 0  # service and flow of a parcel known by its sort code alone
NOWHERE: Final = 0  # the set of no chute


class Routes(NamedTuple):
    """What the tables say of each parcel, in the order of the traffic."""

    reason: Bytes  # [n] Reason: PLANNED, ALTERNATE when the rule's chute is on another line, else why it is rejected
    row: Words16  # [n] the number of the rule that decided; 0: none did
    lane: Words16  # [n] index; NONE_16: none
    station: Words16  # [n] index: by its advice, else by its sort code; NONE_16: unknown
    chutes: Ints64  # [n] index of `sets`: the chutes of its line any of which it may drop into
    sets: tuple[tuple[int, ...], ...]  # chute numbers, by position; the first set is empty


def route(sort_plan: SortPlan, recorded: Recorded) -> Routes:
    """Route every parcel. A name that the plan does not know is as if it had not been told; so is such a line."""
    plan = sort_plan.plan
    read = _read_codes(plan, recorded)
    known = _advised(sort_plan, recorded)
    known = _labelled(plan, recorded, read, known, (read.outcome == Reason.PLANNED) & (known.station == NONE_16))
    to, target, row = _aim(plan, recorded, read.outcome, known)
    place = _Chutes(sort_plan)
    line = _renumbered(recorded.lines, sort_plan.names.lines, recorded.line, len(sort_plan.names.lines))
    reason, lane, chutes = place.of(to, target, line)
    station = np.where(read.outcome == Reason.PLANNED, known.station, NONE_16)
    return Routes(
        reason.astype(np.uint8), row.astype(np.uint16), lane.astype(np.uint16), station, chutes, tuple(place.sets)
    )


def without_labelled(sort_plan: SortPlan, recorded: Recorded) -> Recorded:
    """Traffic of a ledger, in which a station may have come from a sort code: such advices are taken away again.

    `sort_plan` is the plan that decided then. An advice goes when a sort code read on the label says the same station
    and carrier and the advice says no more than that, so that a change of the sort codes is seen to move the parcel.
    """
    read = _read_codes(sort_plan.plan, recorded)
    known = _advised(sort_plan, recorded)
    bare = (known.service == STANDARD) & (known.flow == Flow.INBOUND) & (recorded.cancelled == 0)
    asked = (read.outcome == Reason.PLANNED) & (known.station != NONE_16) & bare
    said = _labelled(sort_plan.plan, recorded, read, _nothing_known(recorded.items), asked)
    gone = asked & (said.station == known.station) & (said.carrier == known.carrier)
    return recorded._replace(
        carrier=np.where(gone, NONE_16, recorded.carrier).astype(np.uint16),
        station=np.where(gone, NONE_16, recorded.station).astype(np.uint16),
        service=np.where(gone, NONE_16, recorded.service).astype(np.uint16),
        flow=np.where(gone, NONE_8, recorded.flow).astype(np.uint8),
    )


def local_minutes(recorded: Recorded, utc_offset_ns: int) -> Ints64:
    """Minutes since 1970 of the site's clock."""
    return (recorded.t_ns + utc_offset_ns) // MINUTE_NS


def waybill_of(sort_plan: SortPlan, recorded: Recorded, parcel: int) -> str:
    """The first code of a parcel that is a waybill; "": none is."""
    one = slice(int(recorded.code_at[parcel]), int(recorded.code_at[parcel + 1]))
    valid = _valid_patterns(sort_plan.plan, recorded.t_ns[parcel : parcel + 1])
    accepted = _accepted(sort_plan.plan, recorded.codes[one]) & valid
    return next((_text(recorded.codes[one][at]) for at in np.flatnonzero(accepted)), "")


class _Read(NamedTuple):
    """What the codes of each parcel are."""

    outcome: Ints64  # [n] PLANNED: one waybill; else a Reason
    accepted: Bits  # [n] the patterns that waybill fits
    is_waybill: Flags  # [m] of each code


def _read_codes(plan: Plan, recorded: Recorded) -> _Read:
    """Codes become waybills: none, one or several a parcel. A code that is empty was not read."""
    count = np.diff(recorded.code_at)
    owner = np.repeat(np.arange(recorded.items), count)
    accepted = _accepted(plan, recorded.codes) & _valid_patterns(plan, recorded.t_ns)[owner]
    is_waybill = accepted != 0
    outcome = np.full(recorded.items, int(Reason.NO_READ))
    outcome[owner[recorded.codes[:, 0] > 0]] = Reason.UNKNOWN_CODE
    waybills = np.flatnonzero(is_waybill)
    owners, first = np.unique(owner[waybills], return_index=True)
    first_of = np.zeros(recorded.items, np.int64)
    first_of[owners] = waybills[first]
    outcome[owners] = Reason.PLANNED
    key = _folded(recorded.codes[:, 1 : 1 + limits.WAYBILL_TEXT_MAX])
    other = (key[waybills] != key[first_of[owner[waybills]]]).any(axis=1)
    outcome[owner[waybills][other]] = Reason.MULTI_CODE
    fits = np.zeros(recorded.items, np.uint64)
    fits[owners] = accepted[waybills[first]]
    return _Read(outcome, fits, is_waybill)


def _accepted(plan: Plan, codes: Bytes) -> Bits:
    """The patterns that each code fits; a code longer than a waybill fits none."""
    waybills = plan.waybills
    length = codes[:, 0]
    state = np.ones(len(codes), np.uint16)
    for column in range(min(limits.WAYBILL_TEXT_MAX, int(length.max(initial=0)))):
        after = waybills.next_state[state, waybills.classes[codes[:, 1 + column]]]
        state = np.where(column < length, after, state)
    fits: Bits = np.where((length > 0) & (length <= limits.WAYBILL_TEXT_MAX), waybills.accepts[state], np.uint64(0))
    return fits


def _valid_patterns(plan: Plan, t_ns: Ints64) -> Bits:
    """The patterns that are in use at each time, a bit each."""
    valid = np.zeros(len(t_ns), np.uint64)
    for bit, from_ns in enumerate(plan.waybills.patterns["valid_from_ns"].tolist()):
        valid |= np.where(t_ns >= from_ns, np.uint64(1 << bit), np.uint64(0))
    return valid


def _folded(texts: Bytes) -> Bytes:
    """Letters as capitals."""
    return np.where((texts >= ord("a")) & (texts <= ord("z")), texts - 32, texts).astype(np.uint8)


class _Known(NamedTuple):
    """What is known of each parcel, as indices of the plan; NONE_16 and NONE_8: nothing."""

    station: Words16
    carrier: Words16
    service: Words16
    flow: Bytes
    cancelled: Flags


def _nothing_known(items: int) -> _Known:
    nothing = np.full(items, NONE_16, np.uint16)
    return _Known(nothing, nothing, nothing, np.full(items, NONE_8, np.uint8), np.zeros(items, bool))


def _renumbered(names: tuple[str, ...], known: tuple[str, ...], index: Words16, none: int) -> Words16:
    """Indices of `names` as indices of `known`."""
    number = {name: at for at, name in enumerate(known)}
    places = np.full(NONE_16 + 1, none, np.uint16)
    places[: len(names)] = [number.get(name, none) for name in names]
    found: Words16 = places[index]
    return found


def _advised(sort_plan: SortPlan, recorded: Recorded) -> _Known:
    """As the advices say. One that names what the plan does not know would not have been taken: it says nothing."""
    names = sort_plan.names
    pairs = (
        (recorded.station, recorded.stations, names.stations),
        (recorded.carrier, recorded.carriers, names.carriers),
        (recorded.service, recorded.services, names.services),
    )
    found = [_renumbered(old, new, index, NONE_16) for index, old, new in pairs]
    strange = np.zeros(recorded.items, bool)
    for after, (before, _, _) in zip(found, pairs, strict=True):
        strange |= (after == NONE_16) & (before != NONE_16)
    station, carrier, service = (np.where(strange, NONE_16, each).astype(np.uint16) for each in found)
    return _Known(station, carrier, service, recorded.flow, (recorded.cancelled != 0) & ~strange)


def _labelled(plan: Plan, recorded: Recorded, read: _Read, known: _Known, asked: Flags) -> _Known:
    """`known`, and for the parcels `asked` for the station and carrier that the sort codes on their labels name."""
    labels = _Labels(plan)
    station, carrier = known.station.copy(), known.carrier.copy()
    service, flow = known.service.copy(), known.flow.copy()
    for parcel in np.flatnonzero(asked).tolist():
        first, end = int(recorded.code_at[parcel]), int(recorded.code_at[parcel + 1])
        codes = [_text(recorded.codes[at]) for at in range(first, end) if not read.is_waybill[at]]
        found = labels.named(codes, labels.carriers_of(int(read.accepted[parcel]))) if codes else None
        if found is not None:
            station[parcel], carrier[parcel] = found
            service[parcel] = flow[parcel] = STANDARD
    return known._replace(station=station, carrier=carrier, service=service, flow=flow)


def _text(code: Bytes) -> str:
    """A code as text, letters as capitals; "" for one that was cut or not read."""
    length = int(code[0])
    return code[1 : 1 + length].tobytes().decode("latin-1").upper() if length <= limits.CODE_TEXT_MAX else ""


class _Labels:
    """The sort codes as a book to look up; one parcel at a time, for few are known by their label."""

    def __init__(self, plan: Plan) -> None:
        codes = plan.sort_codes
        self._patterns = plan.waybills.patterns["carrier"].tolist()
        self._stations: dict[str, list[tuple[int, int]]] = {}
        rows = zip(*(each.tolist() for each in (codes.key_hi, codes.key_lo, codes.station, codes.carrier)), strict=True)
        text, last = "", (0, 0)
        for hi, lo, station, carrier in rows:
            if (hi, lo) != last:
                text, last = records.waybill_text(hi, lo), (hi, lo)
            self._stations.setdefault(text, []).append((station, carrier))

    def carriers_of(self, accepted: int) -> set[int]:
        """The carriers whose patterns a waybill fits."""
        return {carrier for bit, carrier in enumerate(self._patterns) if accepted >> bit & 1}

    def named(self, codes: list[str], carriers: set[int]) -> tuple[int, int] | None:
        """The station and carrier that codes name; None when they name none, or two stations."""
        found = [each for code in codes if (each := self._of_code(code, carriers)) is not None]
        return found[-1] if len({station for station, _ in found}) == 1 else None

    def _of_code(self, code: str, carriers: set[int]) -> tuple[int, int] | None:
        """Try the code, then what is left of it before each dash from the right. Two carriers name no station."""
        while code:
            hits = [each for each in self._stations.get(code, ()) if each[1] in carriers]
            if hits:
                return hits[0] if len(hits) == 1 else None
            code = code.rpartition("-")[0]
        return None


def _aim(plan: Plan, recorded: Recorded, outcome: Ints64, known: _Known) -> tuple[Ints64, Ints64, Ints64]:
    """Steps 1 to 4 of DESIGN §4: kind of target (a Target), the target, and the row that decided, of each parcel."""
    read = outcome == Reason.PLANNED
    there = known.station < len(plan.station_lane)
    lane = np.full(recorded.items, NONE_16, np.int64)
    lane[there] = plan.station_lane[known.station[there]]
    asked = np.flatnonzero(read & there & (recorded.intercepted == 0) & ~known.cancelled)
    hit = np.full(recorded.items, NO_HIT, np.int64)
    hit[asked] = _first_rows(plan, recorded, known, asked)
    choices = (
        (~read, Target.REJECT, outcome),
        (recorded.intercepted != 0, Target.REJECT, Reason.INTERCEPT),
        (known.cancelled, Target.REJECT, Reason.CANCELLED),
        (~there, Target.REJECT, Reason.NO_ADVICE),
        (hit >= 0, _of_hits(plan.table.target_kind, hit), _of_hits(plan.table.target, hit)),
        (lane == NONE_16, Target.REJECT, Reason.NO_RULE),
    )
    tests = [test for test, _, _ in choices]
    to = np.select(tests, [np.broadcast_to(kind, lane.shape) for _, kind, _ in choices], Target.LANE)
    target = np.select(tests, [np.broadcast_to(what, lane.shape) for _, _, what in choices], lane)
    return to.astype(np.int64), target.astype(np.int64), np.where(hit >= 0, _of_hits(plan.table.row, hit), 0)


def _of_hits(column: NDArray[np.uint16] | Bytes, hit: Ints64) -> Ints64:
    """A column of the decision table at each hit; where none is, anything."""
    return column[hit].astype(np.int64) if len(column) else np.zeros(len(hit), np.int64)


def _first_rows(plan: Plan, recorded: Recorded, known: _Known, asked: NDArray[np.intp]) -> Ints64:
    """The first row whose bit is set in one vector of every dimension, of each parcel asked for; NO_HIT: none."""
    table = plan.table
    hits = np.full(len(asked), NO_HIT, np.int64)
    kind = (known.carrier[asked].astype(np.int64) * plan.services + known.service[asked]) * 2 + known.flow[asked]
    fits = (known.service[asked] < plan.services) & (known.flow[asked] < len(Flow)) & (kind < len(table.kind))
    asked, kind = asked[fits], kind[fits]
    minute = local_minutes(recorded, plan.utc_offset_ns)[asked]
    weekday, of_day = (minute // DAY_MIN + EPOCH_WEEKDAY) % 7, minute % DAY_MIN
    at = (
        known.station[asked].astype(np.int64),
        kind,
        _intervals(table.weight_edges, np.minimum(recorded.weight_g[asked], limits.WEIGHT_MAX_G)),
        _intervals(table.length_edges, recorded.length_mm[asked]),
        weekday * (len(table.minute_edges) + 1) + np.searchsorted(table.minute_edges, of_day, "right"),
    )
    hits[fits] = _first_common(table, at)
    return hits


def _intervals(edges: NDArray[np.int32], values: Ints64) -> Ints64:
    """The interval of each value; the last vector for what was not measured."""
    return np.where(values > 0, np.searchsorted(edges, values, "right"), len(edges) + 1)


def _first_common(table: Table, at: tuple[Ints64, ...]) -> Ints64:
    """The first bit set in all of the vectors that each parcel asks; NO_HIT: none. Some parcels at a time."""
    vectors = (table.station, table.kind, table.weight, table.length, table.minute)
    hits = np.full(len(at[0]), NO_HIT, np.int64)
    step = max(1, VECTOR_BYTES // (8 * table.station.shape[1]))
    for first in range(0, len(hits), step):
        part = slice(first, first + step)
        common = vectors[0][at[0][part]]
        for vector, index in zip(vectors[1:], at[1:], strict=True):
            common &= vector[index[part]]
        word = (common != 0).argmax(axis=1)
        bits = common[np.arange(len(word)), word]
        lowest = bits & (~bits + np.uint64(1))
        bit = np.frexp(lowest.astype(np.float64))[1] - 1  # exact: one bit of 64 is a power of two
        hits[part] = np.where(bits != 0, word * 64 + bit, NO_HIT)
    return hits


class _Chutes:
    """The chutes that serve a lane, stand in for a chute or take a rejection on each line, as sets with numbers."""

    def __init__(self, sort_plan: SortPlan) -> None:
        self.sets: list[tuple[int, ...]] = [()]
        self._known: dict[tuple[int, ...], int] = {(): NOWHERE}
        self._plan = sort_plan.plan
        self._numbers = sort_plan.names.chutes
        self._lines, self._lanes = len(sort_plan.names.lines), len(sort_plan.names.lanes)

    def of(self, to: Ints64, target: Ints64, line: Words16) -> tuple[Ints64, Ints64, Ints64]:
        """Reason, lane and set of chutes of each parcel; it asks once for parcels that ask the same."""
        asked, which = np.unique(np.stack([to, target, line.astype(np.int64)]), axis=1, return_inverse=True)
        found = np.array([self._one(*ask) for ask in asked.T.tolist()], np.int64).reshape(-1, 3)
        reason, lane, chutes = found[which.reshape(-1)].T
        return reason, lane, chutes

    def _one(self, to: int, target: int, line: int) -> tuple[int, int, int]:
        if to == Target.REJECT:
            return self._exception(Reason(target), line)
        if to == Target.LANE:
            chutes = self._of_lane(target, line)
            return (Reason.PLANNED, target, chutes) if chutes else self._exception(Reason.MAX_LAPS, line)
        lane = int(self._plan.chute_lane[target])
        if self._plan.chute_line[target] == line:
            return Reason.PLANNED, lane, self._number((self._numbers[target],))
        chutes = self._of_lane(lane, line)
        return (Reason.ALTERNATE, lane, chutes) if chutes else self._exception(Reason.MAX_LAPS, line)

    def _of_lane(self, lane: int, line: int) -> int:
        if lane == NONE_16 or line >= self._lines:
            return NOWHERE
        at = line * self._lanes + lane
        first, end = self._plan.chute_at[at : at + 2]
        return self._number(tuple(self._numbers[chute] for chute in self._plan.lane_chutes[first:end].tolist()))

    def _exception(self, reason: Reason, line: int) -> tuple[int, int, int]:
        """The line's chute for a reason, else for too many laps; a line without either lets the parcel go round."""
        for each in (reason, Reason.MAX_LAPS):
            chute = int(self._plan.exception_chute[line, each]) if line < self._lines else NONE_16
            if chute != NONE_16:
                return each, int(self._plan.chute_lane[chute]), self._number((self._numbers[chute],))
        return Reason.RECIRCULATE, NONE_16, NOWHERE

    def _number(self, chutes: tuple[int, ...]) -> int:
        if chutes not in self._known:
            self._known[chutes] = len(self.sets)
            self.sets.append(chutes)
        return self._known[chutes]


assert REASON_COUNT <= NONE_8
