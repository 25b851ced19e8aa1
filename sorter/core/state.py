"""Everything the core remembers, in arrays that are allocated once, and the ways to read it.

Only `room_for` allocates later, and only for the manifest. Times are site nanoseconds. The
views are for status and tests; kernels write the arrays.
"""

import hashlib
from typing import Any, Final, NamedTuple

import numpy as np

from sorter import limits
from sorter.core import manifest as advices
from sorter.core.manifest import Manifest
from sorter.reasons import Reason, Refusal
from sorter.records import NONE_16, Bits, Ints32, Ints64, Rows, Words32

BUCKETS: Final = 2 * limits.ITEMS_ON_BELT_MAX
SCANS_STAGED_MAX: Final = 256
CODES_STAGED_MAX: Final = 512

TOTALS: Final = np.dtype(
    [
        ("now_ns", "<i8"),  # the time of the last event; never goes back
        ("next_due_ns", "<i8"),  # when the next item is lost if nothing is heard; -1: none
        ("scans", "<i8"),
        ("inducted", "<i8"),
        ("on_belt", "<i8"),
        ("serial", "<u4"),  # of the item opened last
        ("free_item", "<i4"),  # first of the free places, linked by `chain`
        ("written", "<i4"),  # decisions of this step so far
        ("plan", "<u2"),  # number of the plan in force
    ]
)

CLIENT: Final = np.dtype(
    [
        ("boot", "<u8"),
        ("last_seq", "<u8"),  # the last number accepted
        ("seen", "u1"),
        ("role", "u1"),
        ("line", "u1"),
        ("name", "u1", (limits.CODE_BYTES,)),  # code 0 of its hello
    ]
)

BELT: Final = np.dtype(
    [
        ("armed_ns", "<i8"),  # time-outs count from here at the earliest
        ("began_ns", "<i8"),  # when the PLC's boot was heard of, if it had another before: item numbers began anew
        ("boot", "<u8"),  # of the PLC
        ("epoch", "<u4"),  # counts the PLC's boots: item numbers begin anew
        ("oldest", "<i4"),  # item heard of longest ago; -1: none
        ("newest", "<i4"),
        ("greeted", "u1"),  # a PLC has said hello
    ]
)

CHUTE: Final = np.dtype(
    [
        ("in_flight", "<i4"),  # items told to drop here and not yet heard of
        ("dropped", "<i4"),  # items in it since its last change
        ("fullness", "<i8"),  # 0 to FULL; made anew with every change of the others
        ("open_fullness", "<i8"),  # the same, but CLOSED while no item may be told to drop here
        ("capacity", "<i8"),  # of the plan in force; no limit: UNLIMITED, of which any load is a share of 0
        ("plc_state", "u1"),  # a ChuteState as reported
        ("locked", "u1"),  # by the operator
        ("_pad", "u1", (6,)),
    ]
)

# Fullness is (in flight + dropped) / capacity in units of 2**-40, rounded down. Two shares that
# differ, of capacities below 2**20, differ by more than a unit: equal numbers are equal shares.
SHARE_BITS: Final = 40
FULL: Final = 1 << SHARE_BITS
CLOSED: Final = 2 * FULL
UNLIMITED: Final = 1 << 62

assert limits.CAPACITY_MAX < 1 << SHARE_BITS // 2

LANE: Final = np.dtype(
    [
        ("sent_ns", "<i8"),  # trips with a cut-off up to here were sent off early
        ("trip_ns", "<i8"),  # cut-off of `trip`; a look-up is needed from then on
        ("trip", "<i4"),  # the current trip
        ("first", "<i4"),  # where its trips begin in `trips`
        ("end", "<i4"),
    ]
)

TRIP_LOAD: Final = np.dtype(
    [
        ("cutoff_ns", "<i8"),  # which week's departure `load` counts
        ("load", "<i4"),
        ("cutoff_min", "<i4"),  # its plan's, as the capacity; a later plan finds it by lane and minute
        ("capacity", "<i8"),  # UNLIMITED when it has none
    ]
)

ITEM: Final = np.dtype(
    [
        ("waybill_hi", "<u8"),  # both 0: not known
        ("waybill_lo", "<u8"),
        ("heard_ns", "<i8"),  # last word of it
        ("scanned_ns", "<i8"),  # when it was last under a scanner
        ("trip_ns", "<i8"),  # cut-off of the departure in which it holds a place; 0: it needs none
        ("item", "<u4"),
        ("epoch", "<u4"),
        ("serial", "<u4"),
        ("chain", "<i4"),  # next in its bucket, or next free place; -1: none
        ("older", "<i4"),  # neighbours on its line by last word; -1: none
        ("newer", "<i4"),
        ("station", "<u2"),
        ("asked_lane", "<u2"),  # this and what follows: as last told to the PLC; the lane before any spill
        ("lane", "<u2"),
        ("trip", "<u2"),
        ("chute", "<u2"),
        ("alternate", "<u2"),
        ("row", "<u2"),
        ("plan", "<u2"),
        ("reason", "u1"),  # nothing told yet: LATE or RECIRCULATE
        ("carrier", "u1"),
        ("service", "u1"),
        ("flow", "u1"),
        ("line", "u1"),
        ("laps", "u1"),
        ("passed", "u1"),  # the PLC said that it missed its chute
        ("announced", "u1"),  # the PLC said that it entered
        ("doubtful", "u1"),  # it showed two waybills
        ("_pad", "u1", (39,)),
    ]
)
"""One item on the belt: two cache lines."""

assert ITEM.itemsize == 128


class Work(NamedTuple):
    """What a kernel needs for a moment; it means nothing between two steps."""

    rows: Words32  # [CODES_STAGED_MAX] the code rows of a run of scans
    code_hi: Bits  # [CODES_STAGED_MAX] of codes that are waybills
    code_lo: Bits
    accepted: Bits  # [CODES_STAGED_MAX] the patterns each code fits; 0: no waybill
    scans: Rows  # STAGED[SCANS_STAGED_MAX]
    moment: Rows  # MOMENT[1]
    old_trips: Rows  # TRIP_LOAD[TRIPS_MAX]
    trip_now: Ints32  # [TRIPS_MAX] old trip index -> new; -1: gone


STAGED: Final = np.dtype(
    [
        ("waybill_hi", "<u8"),
        ("waybill_lo", "<u8"),
        ("accepted", "<u8"),  # the patterns its waybill fits
        ("payload", "<i8"),  # from the manifest
        ("home", "<i4"),  # its line in the manifest
        ("first_code", "<u2"),  # in the run's code rows
        ("end_code", "<u2"),
        ("station", "<u2"),  # of the payload; NONE_16: it has none. Its vector of the decision table, as what follows
        ("weight", "<u2"),
        ("length", "<u2"),
        ("target", "<u2"),  # where the item shall go, as far as this scan tells: an index or, of REJECT, a Reason
        ("row", "<u2"),  # the rule's number; 0: no rule decided
        ("to", "u1"),  # Target of `target`
        ("outcome", "u1"),  # Reason NO_READ, UNKNOWN_CODE or MULTI_CODE; PLANNED: one waybill
        ("kind", "<i4"),  # a vector of the decision table, too; -1: no row is for it
        ("_pad", "u1", (8,)),
    ]
)


MOMENT: Final = np.dtype(
    [
        ("patterns", "<u8"),  # the waybill patterns valid now
        ("patterns_until_ns", "<i8"),
        ("minute", "<i8"),  # the row of Table.minute for now
        ("minute_until_ns", "<i8"),
    ]
)
"""What the time of day means for the plan in force; made anew when its time is over."""


class State(NamedTuple):
    """Arrays of everything remembered."""

    totals: Rows  # TOTALS[1]
    ended: Ints64  # [reasons]
    refused: Ints64  # [refusals]
    clients: Rows  # CLIENT[CLIENTS_MAX]
    belts: Rows  # BELT[LINES_MAX]
    chutes: Rows  # CHUTE[CHUTES_MAX]
    lanes: Rows  # LANE[LANES_MAX]
    trips: Rows  # TRIP_LOAD[NONE_16 + 1]; the last one stands for no departure and counts for nobody
    items: Rows  # ITEM[ITEMS_ON_BELT_MAX]
    buckets: Ints32  # [BUCKETS] first item of each; -1: none
    manifest: Manifest
    work: Work


def new_state() -> State:
    """An empty belt, an empty manifest, every chute open, no client seen."""
    totals = np.zeros(1, TOTALS)
    totals["next_due_ns"] = -1
    belts = np.zeros(limits.LINES_MAX, BELT)
    belts["oldest"] = belts["newest"] = -1
    items = np.zeros(limits.ITEMS_ON_BELT_MAX, ITEM)
    items["chain"] = np.arange(1, limits.ITEMS_ON_BELT_MAX + 1)
    items["chain"][-1] = -1
    chutes = np.zeros(limits.CHUTES_MAX, CHUTE)
    chutes["capacity"] = UNLIMITED
    lanes = np.zeros(limits.LANES_MAX, LANE)
    lanes["trip"] = -1
    return State(
        totals=totals,
        ended=np.zeros(len(Reason), np.int64),
        refused=np.zeros(len(Refusal), np.int64),
        clients=np.zeros(limits.CLIENTS_MAX, CLIENT),
        belts=belts,
        chutes=chutes,
        lanes=lanes,
        trips=np.zeros(NONE_16 + 1, TRIP_LOAD),
        items=items,
        buckets=np.full(BUCKETS, -1, np.int32),
        manifest=advices.new_manifest(),
        work=_new_work(),
    )


def _new_work() -> Work:
    codes = CODES_STAGED_MAX
    return Work(
        rows=np.zeros(codes, np.uint32),
        code_hi=np.zeros(codes, np.uint64),
        code_lo=np.zeros(codes, np.uint64),
        accepted=np.zeros(codes, np.uint64),
        scans=np.zeros(SCANS_STAGED_MAX, STAGED),
        moment=np.zeros(1, MOMENT),
        old_trips=np.zeros(limits.TRIPS_MAX, TRIP_LOAD),
        trip_now=np.zeros(limits.TRIPS_MAX, np.int32),
    )


EXAMPLE: Final = new_state()
"""What the arrays of every state look like to the kernels: dtypes and dimensions."""


def room_for(state: State, events: Rows) -> State:
    """The state to step with: the same, or one whose manifest has begun to grow for these EVENT rows.

    Call it before every step, in the daemon and in replay: a step itself never allocates.
    """
    manifest = state.manifest
    if len(manifest.old) and manifest.counts[advices.MOVED] == len(manifest.old):
        manifest = manifest._replace(old=manifest.old[:0])
    if len(manifest.old) == 0 and advices.is_crowded(manifest, len(events)):
        manifest = advices.grown(manifest, len(events))
    return state if manifest is state.manifest else state._replace(manifest=manifest)


def next_due_ns(state: State) -> int:
    """When the next item will be lost if nothing is heard of it; -1: there is none.

    A time that is past: more were due than one step may end, so step again.
    """
    return int(state.totals[0]["next_due_ns"])


def acknowledged(state: State, client: int) -> int:
    """The last number accepted from a client; 0 when it is not known."""
    return int(state.clients[client]["last_seq"]) if client < limits.CLIENTS_MAX else 0


def plc_boot(state: State, line: int) -> int | None:
    """The boot of a line's PLC, which its item numbers belong to; None: none has said hello."""
    belt = state.belts[line]
    return int(belt["boot"]) if belt["greeted"] else None


class Client(NamedTuple):
    """A client as it registered."""

    number: int
    name: str
    role: int
    line: int
    boot: int
    last_seq: int


def clients(state: State) -> list[Client]:
    """Every client ever seen, by number: what a daemon needs to know them again after a restart."""
    seen = np.flatnonzero(state.clients["seen"])
    return [_client(int(number), state.clients[number]) for number in seen]


def _client(number: int, row: Any) -> Client:
    name = bytes(row["name"][1 : 1 + min(int(row["name"][0]), limits.CODE_TEXT_MAX)]).decode(errors="replace")
    return Client(number, name, int(row["role"]), int(row["line"]), int(row["boot"]), int(row["last_seq"]))


class Counts(NamedTuple):
    """The day's arithmetic: inducted == sum(ended) + on_belt, always."""

    inducted: int
    on_belt: int
    scans: int
    ended: dict[str, int]  # reason word -> items
    refused: dict[str, int]  # refusal word -> events
    advices: int  # waybills in the manifest, intercepts without advice included
    bytes: int  # of all arrays


def counts(state: State) -> Counts:
    totals = state.totals[0]
    return Counts(
        inducted=int(totals["inducted"]),
        on_belt=int(totals["on_belt"]),
        scans=int(totals["scans"]),
        ended={reason.word: int(state.ended[reason]) for reason in Reason},
        refused={refusal.word: int(state.refused[refusal]) for refusal in Refusal},
        advices=int(state.manifest.counts[advices.USED]),
        bytes=sum(array.nbytes for array in _arrays(state)),
    )


def chutes(state: State, count: int) -> Rows:
    """CHUTE[count]: in_flight, dropped, plc_state, locked, by chute index."""
    return state.chutes[:count]


class TripLoad(NamedTuple):
    """A departure and how many items hold a place in it."""

    lane: int
    trip: int  # index in the plan's trips
    cutoff_ns: int
    load: int


def trip_loads(state: State) -> list[TripLoad]:
    """Departures that are still open and hold at least one item."""
    now_ns = int(state.totals[0]["now_ns"])
    loads = []
    for lane, row in enumerate(state.lanes):
        for trip in range(int(row["first"]), int(row["end"])):
            load = state.trips[trip]
            if load["load"] > 0 and load["cutoff_ns"] > max(now_ns, int(row["sent_ns"])):
                loads.append(TripLoad(lane, trip, int(load["cutoff_ns"]), int(load["load"])))
    return loads


def items_on_belt(state: State) -> list[Rows]:
    """ITEM rows, line by line, the one heard of longest ago first."""
    found = []
    for belt in state.belts:
        at = int(belt["oldest"])
        while at >= 0:
            found.append(state.items[at])
            at = int(state.items[at]["newer"])
    return found


_MEANING: Final = tuple(name for name in ITEM.names or () if name not in {"chain", "older", "newer", "_pad"})


def digest(state: State) -> str:
    """sha256 over all that the core remembers, 64 hex digits.

    It covers contents, not places: where in memory an item or an advice lies does not matter,
    so a state restored from a snapshot equals the one that ran.
    """
    hashed = hashlib.sha256()
    totals = [state.totals[name].tobytes() for name in TOTALS.names or () if name not in {"free_item", "written"}]
    belts = [state.belts[name].tobytes() for name in ("armed_ns", "began_ns", "boot", "epoch", "greeted")]
    items = [row[name].tobytes() for row in items_on_belt(state) for name in _MEANING]
    rows = [state.ended, state.refused, state.clients, state.chutes, state.lanes["sent_ns"]]
    for part in [*totals, *belts, *items, *(row.tobytes() for row in rows)]:
        hashed.update(part)
    hashed.update(np.array(trip_loads(state), np.int64).tobytes())
    hashed.update(advices.contents(state.manifest).tobytes())
    return hashed.hexdigest()


def _arrays(part: Any) -> list[Any]:
    if isinstance(part, np.ndarray):
        return [part]
    return [array for inner in part for array in _arrays(inner)]
