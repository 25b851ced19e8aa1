"""The example line, against a belt of real parcels: an order moves its own parcel or none, whatever fails."""

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from plc_adapter.mailbox import HostSide, HostState, Order, Report, from_words, to_words
from sorter.records import NONE_16, ChuteState, Discharge, Kind
from tests.plc_adapter.structured_text.programs import Maker, Program, both

STEP_MM = 20  # 2 m/s and a scan of 10 ms
GATES_MM = {101: 3000, 102: 3000, 103: 5000, 199: 7000}
PLACES = list(GATES_MM)
END = 199
FALL_MM = 150  # from a gate to the light barrier in its chute
GRIP_MM = 60  # a gate moves a parcel whose front has passed it by less


class Meant(NamedTuple):
    """What the host wants with a parcel, and what goes wrong with it."""

    chute: int  # 0: no order comes
    alternate: int
    slips: bool  # its first gate does not move it
    late_mm: int  # where it is when the order is given


class Parcel:
    """A real thing on a belt."""

    def __init__(self, item: int, meant: Meant) -> None:
        self.item = item
        self.meant = meant
        self.slips = meant.slips
        self.at_mm = 0
        self.chute = 0  # where it fell, 0: on the belt
        self.falls_mm = 0


class Belt:
    """Parcels on a belt, the example program at its gates, and a host that gives orders by number."""

    def __init__(self, make: Maker) -> None:
        self.program: Program = make("HubSorterExample")
        self.host = HostSide()
        self.parcels: list[Parcel] = []
        self.reports: list[Report] = []
        self.host_lives = True
        for _ in range(60):  # both meet, and every chute is told
            self.cycle()
        assert [report.point for report in self.reports][-4:] == PLACES
        self.reports.clear()

    def shut(self, chute: int, state: ChuteState) -> None:
        self.program["Chutes"][PLACES.index(chute)].State = state

    def cycle(self, entering: Meant | None = None) -> None:
        program = self.program
        program["ClockMs"] += 10
        program["MovedMm"] = STEP_MM
        for parcel in self.parcels:
            parcel.at_mm += STEP_MM
        if entering:
            self.parcels.append(Parcel(len(self.parcels) + 1, entering))
        program["Entered"] = entering is not None
        program["Landed"][:] = [self._lands(chute) for chute in PLACES] + [False] * (64 - len(PLACES))
        if self.host_lives:
            self._order()
            program["HostBlock"][:] = to_words(self.host.block(0, HostState.DECIDING))
        program.scan()
        self._move()
        if self.host_lives:
            self.reports += self.host.receive(from_words(list(program["PlcBlock"])), 0)
            self.host.acknowledge(self.host.read)

    def _order(self) -> None:
        due = [each for each in self.parcels if each.meant.chute and each.at_mm - each.meant.late_mm in range(STEP_MM)]
        for parcel in due:
            assert self.host.give(Order(parcel.item, parcel.meant.chute, parcel.meant.alternate, 10**9, 0))

    def _lands(self, chute: int) -> bool:
        fallen = [each for each in self.parcels if each.chute == chute and each.falls_mm]
        for parcel in fallen:
            parcel.falls_mm -= STEP_MM
        landed = [each for each in fallen if each.falls_mm <= 0]
        for parcel in landed:
            parcel.falls_mm = 0
        return bool(landed)

    def _move(self) -> None:
        gates = self.program["Divert"]
        for parcel in self.parcels:
            if parcel.chute:
                continue
            for place, chute in enumerate(PLACES):
                before = parcel.at_mm - GATES_MM[chute]
                gripped = 0 <= before < GRIP_MM and (chute == END or gates[place])
                if gripped and parcel.slips and chute != END:
                    parcel.slips = before < GRIP_MM - STEP_MM  # it slips by this gate, and by no other
                elif gripped:
                    parcel.chute, parcel.falls_mm = chute, FALL_MM
                    break

    def run_out(self) -> None:
        for _ in range((GATES_MM[END] + 1000) // STEP_MM):
            self.cycle()

    def told(self, item: int) -> list[tuple[Discharge, int]]:
        return [
            (Discharge(each.value), each.point)
            for each in self.reports
            if each.kind == Kind.DISCHARGE and each.item == item
        ]


CHUTES = st.sampled_from([101, 102, 103])
MEANT = st.builds(
    Meant,
    chute=st.sampled_from([0, 101, 102, 103, 103, 777]),
    alternate=st.sampled_from([NONE_16, 101, 102, 103]),
    slips=st.booleans(),
    late_mm=st.sampled_from([40, 600, 2980, 3000, 3400, 4960]),
)


@both
@settings(max_examples=25, deadline=None)
@given(
    load=st.lists(st.tuples(MEANT, st.integers(400, 900)), max_size=12),
    shut=st.lists(st.tuples(st.integers(0, 600), CHUTES, st.sampled_from(ChuteState)), max_size=6),
    dies=st.none() | st.integers(0, 500),
)
def test_no_parcel_falls_where_another_was_told(
    make: Maker, load: list[tuple[Meant, int]], shut: list[tuple[int, int, ChuteState]], dies: int | None
) -> None:
    belt = Belt(make)
    at = 0
    for meant, gap_mm in load:
        for _ in range(gap_mm // STEP_MM):
            belt.cycle()
            at += 1
            belt.host_lives = dies is None or not dies <= at < dies + 100
            for when, chute, state in shut:
                if when == at:
                    belt.shut(chute, state)
        belt.cycle(meant)
        at += 1
    belt.host_lives = True
    belt.run_out()
    for parcel in belt.parcels:
        assert parcel.chute in {parcel.meant.chute, parcel.meant.alternate, END}
        assert belt.told(parcel.item)[-1] == (Discharge.DROPPED, parcel.chute)
        passed = [point for outcome, point in belt.told(parcel.item)[:-1] if outcome == Discharge.PASSED]
        assert len(passed) == len(belt.told(parcel.item)) - 1 <= 1
        assert parcel.chute == END or not passed
        told = parcel.meant.chute and {parcel.meant.chute, parcel.meant.alternate} & set(PLACES)
        if dies is None or not told:
            assert bool(passed) == bool(told and parcel.chute == END)
    assert belt.program["Queue"].Refused == 0


@both
def test_a_failed_divert_does_not_shift_onto_the_next_parcel(make: Maker) -> None:
    belt = Belt(make)
    chutes = [101, 103, 102, 101, 103, 101]
    for number, chute in enumerate(chutes):
        belt.cycle(Meant(chute, NONE_16, slips=number % 2 == 0, late_mm=600))
        for _ in range(400 // STEP_MM):
            belt.cycle()
    belt.run_out()
    assert [parcel.chute for parcel in belt.parcels] == [END, 103, END, 101, END, 101]
    assert belt.told(1) == [(Discharge.PASSED, 101), (Discharge.DROPPED, END)]
    assert belt.told(2) == [(Discharge.DROPPED, 103)]


@both
def test_a_closed_chute_gives_way_to_the_alternate_also_at_the_same_gate(make: Maker) -> None:
    belt = Belt(make)
    belt.shut(101, ChuteState.BLOCKED)
    for alternate in (102, 103, NONE_16):
        belt.cycle(Meant(101, alternate, slips=False, late_mm=600))
        for _ in range(400 // STEP_MM):
            belt.cycle()
    belt.run_out()
    assert [parcel.chute for parcel in belt.parcels] == [102, 103, END]


@both
def test_a_chute_that_the_line_does_not_have_gives_way_to_the_alternate(make: Maker) -> None:
    belt = Belt(make)
    belt.shut(102, ChuteState.BLOCKED)
    for alternate in (103, 102, 778):
        belt.cycle(Meant(777, alternate, slips=False, late_mm=600))
        for _ in range(400 // STEP_MM):
            belt.cycle()
    belt.run_out()
    assert belt.told(1) == [(Discharge.DROPPED, 103)]
    assert belt.told(2) == [(Discharge.PASSED, 102), (Discharge.DROPPED, END)]
    assert belt.told(3) == [(Discharge.DROPPED, END)]


@both
def test_what_neither_fell_nor_reached_the_end_is_lost(make: Maker) -> None:
    belt = Belt(make)
    belt.cycle(Meant(101, NONE_16, slips=False, late_mm=600))
    belt.parcels[0].chute = 1  # somebody took it off the belt
    belt.run_out()
    assert belt.told(1) == [(Discharge.PASSED, 101), (Discharge.LOST, END)]


@both
def test_a_host_that_dies_lets_everything_pass(make: Maker) -> None:
    belt = Belt(make)
    belt.cycle(Meant(103, NONE_16, slips=False, late_mm=600))
    for _ in range(3000 // STEP_MM):
        belt.cycle()
    belt.host_lives = False
    for _ in range(3000 // STEP_MM):
        belt.cycle()
    belt.host_lives = True
    belt.run_out()
    assert belt.parcels[0].chute == END
    assert belt.told(1) == [(Discharge.PASSED, 103), (Discharge.DROPPED, END)]


@both
def test_an_order_that_comes_when_its_gate_has_gone_by_leads_to_the_alternate(make: Maker) -> None:
    belt = Belt(make)
    belt.cycle(Meant(101, 103, slips=False, late_mm=3200))
    belt.run_out()
    assert belt.parcels[0].chute == 103
    assert belt.told(1) == [(Discharge.DROPPED, 103)]


@both
def test_an_order_that_is_too_late_is_taken_and_does_nothing(make: Maker) -> None:
    belt = Belt(make)
    belt.cycle(Meant(0, NONE_16, slips=False, late_mm=0))
    assert belt.host.give(Order(1, 101, NONE_16, 0, 0))
    belt.run_out()
    assert belt.host.given == belt.host.taken == 1
    assert belt.told(1) == [(Discharge.DROPPED, END)]


@both
def test_a_light_barrier_that_tells_of_nobody_and_a_parcel_without_a_record_are_counted(make: Maker) -> None:
    belt = Belt(make)
    belt.program["Landed"][1] = True
    belt.program.scan()
    assert (belt.program["Strays"], belt.program["Untracked"]) == (1, 0)
    for _ in range(70):
        belt.cycle(Meant(0, NONE_16, slips=False, late_mm=0))
    assert (belt.program["Strays"], belt.program["Untracked"]) == (1, 6)
