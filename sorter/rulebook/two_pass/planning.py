"""More stations than chutes: large ones get a chute of their own, the others are grouped and sorted again.

First pass: a chute takes one station ("direct") or a group of them. Second pass: one group after
the other is put on the belt again, and each chute takes one station of the group. With K chutes,
d of them direct and g for groups, d + g <= K and no group holds more than K stations.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np

from sorter.reasons import Declined, Language, Said, Sentence
from sorter.records import Ints64, Target
from sorter.rulebook.rows import Checked, Rule, Station
from sorter.rulebook.tables import NOTE, TABLES, Cells, Sheet
from sorter.rulebook.two_pass.balance import Groups, in_order, seat

HOURS: Final = 24

NO_SUCH_LINE: Final = Sentence("没有分拣线 {line}；现有：{lines}", "there is no line {line}; the lines are {lines}")
NO_CHUTES: Final = Sentence(
    "没有可用的格口：异常格口不能分站点；请用 --chutes 写出要用的格口",
    "there is no chute to use: those of exceptions take no station; name the chutes by --chutes",
)
NO_STATION: Final = Sentence(
    "stations 表中没有 {kind} 类型的站点；请换 --kind",
    "the table stations has none of kind {kind}; give another --kind",
)
MADE_ALREADY: Final = Sentence(
    "路向 {lane} 是两次分拣方案生成的；请用 --plan 指定原来的规则表",
    "lane {lane} was made by a two-pass plan; name the rule set it was made from by --plan",
)
CHUTE_TWICE: Final = Sentence("格口 {chute} 写了两次；请只写一次", "chute {chute} is named twice; name it once")
NOT_ON_LINE: Final = Sentence(
    "格口 {chute} 不在分拣线 {line} 上；请核对格口号",
    "chute {chute} is not on line {line}; correct its number",
)
TOO_MANY: Final = Sentence(
    "{stations} 个站点，{chutes} 个格口两次分拣最多分 {most} 个；请增加格口，或减少站点",
    "{stations} stations are too many: two passes over {chutes} chutes sort at most {most}; "
    "give more chutes or fewer stations",
)
PINS_TOO_TIGHT: Final = Sentence(
    "{chutes} 个格口按这些固定项分不下 {stations} 个站点；请去掉一些固定项",
    "with these fixed places {chutes} chutes cannot take {stations} stations; fix fewer of them",
)
NO_SUCH_STATION: Final = Sentence(
    "固定项中的站点 {station} 不是这一类站点，不在要分的站点里；请删去这一行，或换 --kind",
    "station {station}, to be fixed, is not of the kind that is planned; drop it, or give another --kind",
)
NO_SUCH_CHUTE: Final = Sentence(
    "站点 {station} 固定到格口 {chute}，但它不是可用的格口；可用：{chutes}",
    "station {station} is fixed at chute {chute}, which is not one of those to use: {chutes}",
)
PINNED_TWICE: Final = Sentence(
    "站点 {station} 固定了两次；请只留一行", "station {station} is fixed twice; keep one of the two"
)
DIRECT_AGAIN: Final = Sentence(
    "站点 {station} 独占格口，不进第二次分拣；请去掉第二次的格口 {chute}，或改为合流",
    "station {station} has a chute of its own and no second pass; drop chute {chute} of pass two, or let it be grouped",
)
NOT_ITS_OWN: Final = Sentence(
    "格口 {chute} 固定由站点 {station} 独占，又固定给 {other}；请改其中一个",
    "chute {chute} is fixed as station {station}'s own and also for {other}; change one of the two",
)
SAME_SECOND: Final = Sentence(
    "站点 {station} 和 {other} 同在合流格口 {group}，第二次又同用格口 {chute}；请改其中一个",
    "stations {station} and {other} share group chute {group} and also chute {chute} of pass two; "
    "change one of the two",
)
GROUP_TOO_LARGE: Final = Sentence(
    "合流格口 {chute} 固定了 {stations} 个站点，第二次只有 {chutes} 个格口；请少固定一些",
    "{stations} stations are fixed at group chute {chute}, but pass two has {chutes} chutes; fix fewer there",
)
EXCEPTION_CHUTE: Final = Sentence(
    "格口 {chute} 是异常格口，不能分站点；请去掉它", "chute {chute} takes exceptions, so no station; leave it out"
)

DIRECT_TITLE: Final = Sentence("一次分拣 {name}", "pass 1 {name}")
GROUP_TITLE: Final = Sentence(
    "一次分拣 合流格口 {chute}（{stations} 个站点）", "pass 1 group {chute} ({stations} stations)"
)
SECOND_TITLE: Final = Sentence("二次分拣 格口 {chute}", "pass 2 chute {chute}")
MADE: Final = Sentence("两次分拣方案生成", "made by the two-pass plan")

SHAPE: Final = Sentence(
    "{stations} 个站点，{chutes} 个格口：{direct} 个站点独占格口，{grouped} 个站点合为 {groups} 组，再分一次。"
    "以下按记录的件量计算，别的日子会有出入",
    "{stations} stations on {chutes} chutes: {direct} have a chute of their own, "
    "{grouped} are gathered in {groups} groups and sorted again; "
    "what follows is for the recorded volumes, another day will differ",
)
TWICE: Final = Sentence(
    "分两次的包裹：{ours} 件，占 {items} 件的 {share}（任何两次分拣方案不少于 {bound}；按表顺序排 {baseline}）",
    "handled twice: {ours} of {items} parcels, {share} (no two-pass plan is below {bound}; by table order {baseline})",
)
BESIDE: Final = Sentence(
    "分两次的件数同样少的方案不少于 {bound}；按表顺序排 {baseline}",
    "no plan with as few handled twice is below {bound}; by table order {baseline}",
)
BUSIEST: Final = Sentence(
    "第一次最忙：格口 {chute}，{hour} 时，{ours} 件（{beside}）",
    "busiest in pass one: chute {chute} from {hour}:00, {ours} parcels ({beside})",
)
LARGEST: Final = Sentence(
    "最大一组：{ours} 件（{beside}）；最小一组：{smallest} 件",
    "largest group: {ours} parcels ({beside}); smallest: {smallest}",
)
SECOND_BUSIEST: Final = Sentence(
    "第二次各组合计最多的格口：{ours} 件（{beside}）",
    "most loaded chute of pass two, all groups together: {ours} parcels ({beside})",
)
DIRECT_CHUTE: Final = Sentence(
    "格口 {chute}：站点 {station} 独占，{items} 件，最忙 {hour} 时 {most} 件",
    "chute {chute}: station {station} alone, {items} parcels, at most {most}, from {hour}:00",
)
GROUP_CHUTE: Final = Sentence(
    "格口 {chute}：合流 {stations} 个站点，{items} 件要分两次，最忙 {hour} 时 {most} 件",
    "chute {chute}: group of {stations} stations, {items} parcels handled twice, at most {most}, from {hour}:00",
)


class NoTwoPass(Declined):
    """There is no two-pass plan as asked. `faults` holds every reason found."""

    def __init__(self, faults: list[Said]) -> None:
        names = [f"fault_{at}" for at in range(len(faults))]
        listed = "\n".join(f"{{{name}}}" for name in names)
        super().__init__(Sentence(listed, listed).about(**dict(zip(names, faults, strict=True))))
        self.faults = faults


class Pin(NamedTuple):
    """What staff want fixed of one station: a chute of its own, or a group and a second pass.

    `Pin("V001", direct=True, first=112)`: V001 alone has chute 112 in pass one.
    `Pin("V050", direct=False, first=140)`: V050 is gathered in chute 140.
    `Pin("V050", direct=False, second=203)`: V050 is gathered anywhere and drops in 203 in pass two.
    """

    station: str
    direct: bool
    first: int = 0  # chute in pass one; 0: whichever
    second: int = 0  # chute in pass two; 0: whichever


class Volumes(NamedTuple):
    """Recorded parcels by station and local hour, the stations in table order."""

    stations: tuple[str, ...]
    items: Ints64  # [stations, 24]


class TwoPass(NamedTuple):
    """Where every station goes in both passes."""

    chutes: tuple[int, ...]  # those the stations share, in the order they stand
    direct: Mapping[str, int]  # station -> its own chute; in table order
    groups: Mapping[int, tuple[str, ...]]  # group chute of pass one -> its stations in table order
    second: Mapping[str, int]  # station of a group -> its chute in pass two; in table order


class Figures(NamedTuple):
    """What a plan makes of the volumes, in parcels; or what no plan can go below."""

    handled_twice: int
    busiest_hour: int  # at one chute of pass one in one hour
    largest_group: int
    busiest_second: int  # at one chute of pass two, all groups together


class Summary(NamedTuple):
    """A plan beside the bounds and beside the simple way."""

    ours: Figures
    bounds: Figures
    baseline: Figures
    lines: tuple[Said, ...]


def free_chutes(checked: Checked, line: str, only: Collection[int] = ()) -> tuple[int, ...]:
    """The chutes of a line that may take stations, in the order they stand: no exception's; of `only`, when given.

    Raises NoTwoPass.
    """
    if line not in checked.lines:
        raise NoTwoPass([NO_SUCH_LINE.about(line=line, lines=", ".join(checked.lines))])
    there = sorted((row.position_mm, row.chute) for row in checked.chutes if row.line == line)
    standing = [chute for _, chute in there]
    taken = {row.chute for row in checked.exceptions}
    faults = [NOT_ON_LINE.about(chute=chute, line=line) for chute in only if chute not in standing]
    faults += [EXCEPTION_CHUTE.about(chute=chute) for chute in only if chute in taken and chute in standing]
    free = tuple(chute for chute in standing if chute not in taken and (not only or chute in only))
    if not free and not faults:
        faults.append(NO_CHUTES.about())
    if faults:
        raise NoTwoPass(faults)
    return free


def stations_of(checked: Checked, kind: str) -> list[str]:
    """The stations of a kind, in table order. Raises NoTwoPass when there is none."""
    found = [row.station for row in checked.stations if row.kind == kind]
    if not found:
        raise NoTwoPass([NO_STATION.about(kind=kind)])
    return found


def own_chutes(checked: Checked, line: str, stations: Collection[str]) -> tuple[int, ...]:
    """The free chutes of a line that serve no other lane than those of `stations`, so that others keep theirs.

    A lane is theirs when it is one's own, or a rule sends one there by naming stations or townships.
    Raises NoTwoPass.
    """
    mine = [row for row in checked.stations if row.station in stations]
    lanes = {row.lane for row in mine}
    for rule in checked.rules:
        places = (rule.station, rule.township)
        named = any(words.items and not words.negated for words in places)
        if named and rule.send_to.kind == Target.LANE and any(_fits(rule, row) for row in mine):
            lanes.add(rule.send_to.name)
    lanes_of = {row.chute: set(row.lanes) for row in checked.chutes}
    found = tuple(chute for chute in free_chutes(checked, line) if lanes_of[chute] <= lanes)
    if not found:
        raise NoTwoPass([NO_CHUTES.about()])
    return found


def _fits(rule: Rule, station: Station) -> bool:
    """Whether a rule could take a parcel of a station."""
    return rule.station.has(station.station) and rule.township.has(station.township)


def rejecting(checked: Checked, stations: Collection[str]) -> tuple[list[int], list[int]]:
    """The numbers of the rules that reject: those that stay, and those that would reject more than before.

    Without the rules that sort, a rule that rejects takes whatever they took before it. So those stay that
    stand above the first rule that sorts a parcel of one of `stations`: for these nothing changes.
    """
    mine = [row for row in checked.stations if row.station in stations]
    stay: list[int] = []
    left: list[int] = []
    found = stay
    for rule in checked.rules:
        if rule.send_to.kind == Target.REJECT:
            found.append(rule.row)
        elif found is stay and any(_fits(rule, row) for row in mine):
            found = left
    return stay, left


def count_volumes(stations: Sequence[str], parcels: Iterable[tuple[str, int]]) -> Volumes:
    """Volumes of recorded parcels, each a station and a local hour; those for other stations do not count."""
    place = {station: at for at, station in enumerate(stations)}
    items = np.zeros((len(place), HOURS), np.int64)
    for station, hour in parcels:
        if station in place:
            items[place[station], hour] += 1
    return Volumes(tuple(place), items)


def plan_two_pass(volumes: Volumes, chutes: Sequence[int], pins: Sequence[Pin] = ()) -> TwoPass:
    """The plan that handles fewest parcels twice, its groups balanced by hour.

    Fewest: each direct station spares its own parcels and nothing else, and any stations may be
    direct that no pin forbids; so with as many direct as fit, the largest are the best. Who wants
    more and smaller groups pins a station to each chute that shall be one.
    Raises NoTwoPass with everything that is wrong.
    """
    task = _task(volumes, chutes, pins)
    rest = _left(task, _by_volume(task))
    groups = _groups(task, rest)
    groups.fill_longest_first()
    groups.balance()
    return _plan(task, rest, groups.group)


def baseline(volumes: Volumes, chutes: Sequence[int], pins: Sequence[Pin] = ()) -> TwoPass:
    """The simple way: as many direct as fit as they stand in the table, the others to the groups in turn.

    Raises NoTwoPass as plan_two_pass does.
    """
    task = _task(volumes, chutes, pins)
    rest = _left(task, task.unpinned())
    groups = _groups(task, rest)
    groups.fill_in_turn()
    return _plan(task, rest, groups.group)


class _Task(NamedTuple):
    """What is asked, in numbers: stations by their place in the table, chutes by their place in `chutes`."""

    volumes: Volumes
    chutes: tuple[int, ...]
    direct: Mapping[int, int]  # station -> chute it must have alone, -1: whichever
    grouped: Mapping[int, tuple[int, int]]  # station -> group chute and second chute, -1: whichever
    direct_count: int

    def unpinned(self) -> list[int]:
        count = len(self.volumes.stations)
        return [station for station in range(count) if station not in self.direct and station not in self.grouped]

    def group_chutes(self) -> list[int]:
        """The group chutes that staff fixed."""
        return sorted({first for first, _ in self.grouped.values() if first >= 0})

    def group_count(self) -> int:
        return min(len(self.chutes) - self.direct_count, len(self.volumes.stations) - self.direct_count)


def _task(volumes: Volumes, chutes: Sequence[int], pins: Sequence[Pin]) -> _Task:
    faults = [*_chute_faults(chutes), *_pin_faults(volumes, chutes, pins), *_meetings(pins, len(chutes))]
    stations, count = len(volumes.stations), len(chutes)
    if count and stations > count * count:
        faults.append(TOO_MANY.about(stations=stations, chutes=count, most=count * count))
    if faults:
        raise NoTwoPass(faults)
    station = {name: at for at, name in enumerate(volumes.stations)}
    chute = {0: -1} | {number: at for at, number in enumerate(chutes)}
    direct = {station[pin.station]: chute[pin.first] for pin in pins if pin.direct}
    grouped = {station[pin.station]: (chute[pin.first], chute[pin.second]) for pin in pins if not pin.direct}
    task = _Task(volumes, tuple(chutes), direct, grouped, 0)
    most = _most_direct(task)
    if most is None:
        raise NoTwoPass([PINS_TOO_TIGHT.about(stations=stations, chutes=count)])
    return task._replace(direct_count=most)


def _chute_faults(chutes: Sequence[int]) -> list[Said]:
    if not chutes:
        return [NO_CHUTES.about()]
    twice = [chute for at, chute in enumerate(chutes) if chute in chutes[:at]]
    return [CHUTE_TWICE.about(chute=chute) for chute in dict.fromkeys(twice)]


def _pin_faults(volumes: Volumes, chutes: Sequence[int], pins: Sequence[Pin]) -> list[Said]:
    """What is wrong with each pin by itself."""
    known, usable = set(volumes.stations), ", ".join(map(str, chutes))
    seen: set[str] = set()
    faults = []
    for pin in pins:
        if pin.station not in known:
            faults.append(NO_SUCH_STATION.about(station=pin.station))
        if pin.station in seen:
            faults.append(PINNED_TWICE.about(station=pin.station))
        seen.add(pin.station)
        faults += [
            NO_SUCH_CHUTE.about(station=pin.station, chute=chute, chutes=usable)
            for chute in (pin.first, pin.second)
            if chute and chute not in chutes
        ]
        if pin.direct and pin.second:
            faults.append(DIRECT_AGAIN.about(station=pin.station, chute=pin.second))
    return faults


def _meetings(pins: Sequence[Pin], chutes: int) -> list[Said]:
    """Pins of two stations that cannot both be held."""
    owner = {pin.first: pin.station for pin in pins if pin.direct and pin.first}
    faults = [
        NOT_ITS_OWN.about(chute=pin.first, station=owner[pin.first], other=pin.station)
        for pin in pins
        if pin.station != owner.get(pin.first, pin.station)
    ]
    together: dict[int, list[Pin]] = {}
    for pin in pins:
        if pin.first and not pin.direct:
            together.setdefault(pin.first, []).append(pin)
    for group, members in together.items():
        if len(members) > chutes:
            faults.append(GROUP_TOO_LARGE.about(chute=group, stations=len(members), chutes=chutes))
        first: dict[int, str] = {}
        for pin in members:
            other = first.setdefault(pin.second, pin.station)
            if pin.second and other != pin.station:
                faults.append(SAME_SECOND.about(station=other, other=pin.station, group=group, chute=pin.second))
    return faults


def _most_direct(task: _Task) -> int | None:
    """How many stations can be direct at most; None: the pins leave no plan.

    Fewer groups leave more chutes to direct stations, so the fewest groups that can hold the others win.
    """
    stations, chutes = len(task.volumes.stations), len(task.chutes)
    for groups in range(len(task.group_chutes()), chutes + 1):
        direct = min(chutes - groups, stations - len(task.grouped))
        holds = stations - direct <= groups * chutes
        if len(task.direct) <= direct and holds and _seats(task, groups) is not None:
            return direct
    return None


def _seats(task: _Task, groups: int) -> dict[int, int] | None:
    """A group for every station pinned to one or to a chute of pass two, so that all pins hold; None: there is none.

    A seat is a group and a chute of pass two; the groups of pinned chutes come first.
    """
    chutes, pinned = len(task.chutes), task.group_chutes()
    wishes = []
    for turn, (first, second) in enumerate(task.grouped.values()):
        rows = [pinned.index(first)] if first >= 0 else [(turn + step) % groups for step in range(groups)]
        columns = [second] if second >= 0 else range(chutes)
        wishes.append([row * chutes + column for row in rows for column in columns])
    seats = seat(wishes)
    if seats is None:
        return None
    return {station: place // chutes for station, place in zip(task.grouped, seats, strict=True)}


def _by_volume(task: _Task) -> list[int]:
    """Stations without a pin, the largest first, equal ones in table order."""
    total = task.volumes.items.sum(axis=1).tolist()
    return sorted(task.unpinned(), key=lambda station: (-total[station], station))


def _left(task: _Task, preferred: list[int]) -> list[int]:
    """The stations, in table order, that are grouped when the first of `preferred` are direct."""
    direct = {*task.direct, *preferred[: task.direct_count - len(task.direct)]}
    return [station for station in range(len(task.volumes.stations)) if station not in direct]


def _groups(task: _Task, rest: list[int]) -> Groups:
    """The groups, so far with those stations alone that pins seat."""
    seats = _seats(task, task.group_count()) or {}
    pins = [task.grouped.get(station, (-1, -1)) for station in rest]
    return Groups(
        task.volumes.items[rest],
        group=np.array([seats.get(station, -1) for station in rest], np.int64),
        fixed=np.array([first >= 0 for first, _ in pins], np.bool_),
        column=np.array([second + 1 for _, second in pins], np.int64),
        groups=task.group_count(),
        room=len(task.chutes),
    )


def _plan(task: _Task, rest: list[int], group: Ints64) -> TwoPass:
    """Chutes for all: as pinned, else direct stations from the front in table order and groups at the end."""
    pinned = task.group_chutes()
    free = [at for at in range(len(task.chutes)) if at not in pinned and at not in task.direct.values()]
    alone = sorted(set(range(len(task.volumes.stations))) - set(rest))
    begin = len(free) - (task.group_count() - len(pinned))
    rows = [*pinned, *free[begin:]]
    unfixed = iter(free[:begin])
    own = {station: task.direct.get(station, -1) for station in alone}
    members = {
        row: [station for station, of in zip(rest, group.tolist(), strict=True) if of == at]
        for at, row in enumerate(rows)
    }
    names, chutes = task.volumes.stations, task.chutes
    second = _second(task, [members[row] for row in sorted(rows)])
    return TwoPass(
        chutes,
        {names[station]: chutes[at if at >= 0 else next(unfixed)] for station, at in own.items()},
        {chutes[row]: tuple(names[station] for station in members[row]) for row in sorted(rows)},
        {names[station]: chutes[second[station]] for station in rest},
    )


def _second(task: _Task, groups: list[list[int]]) -> dict[int, int]:
    """Each grouped station's chute in pass two: as pinned, the others of a group in table order.

    Where a group leaves chutes empty, they are those that other groups load most.
    """
    total = task.volumes.items.sum(axis=1)
    load = np.zeros(len(task.chutes), np.int64)
    second = {station: at for station, (_, at) in task.grouped.items() if at >= 0}
    np.add.at(load, list(second.values()), total[list(second)])
    for members in groups:
        pinned = {second[station] for station in members if station in second}
        free = np.array([at for at in range(len(task.chutes)) if at not in pinned], np.intp)
        others = [station for station in members if station not in second]
        at = free[in_order(total[others].tolist(), load[free])]
        second |= dict(zip(others, at.tolist(), strict=True))
        load[at] += total[others]
    return second


def first_loads(two_pass: TwoPass, volumes: Volumes) -> dict[int, Ints64]:
    """Chute -> parcels it takes in pass one, int64[24] by hour; those of a group chute are handled twice."""
    items = dict(zip(volumes.stations, volumes.items, strict=True))
    loads = {chute: np.zeros(HOURS, np.int64) for chute in two_pass.chutes}
    for station, chute in two_pass.direct.items():
        loads[chute] += items[station]
    for chute, stations in two_pass.groups.items():
        for station in stations:
            loads[chute] += items[station]
    return loads


def second_loads(two_pass: TwoPass, volumes: Volumes) -> dict[int, int]:
    """Chute -> parcels it takes in pass two, all groups together."""
    total = dict(zip(volumes.stations, volumes.items.sum(axis=1).tolist(), strict=True))
    loads = dict.fromkeys(two_pass.chutes, 0)
    for station, chute in two_pass.second.items():
        loads[chute] += total[station]
    return loads


def figures(two_pass: TwoPass, volumes: Volumes) -> Figures:
    """What a plan makes of the volumes."""
    first = first_loads(two_pass, volumes)
    sizes = [int(first[chute].sum()) for chute in two_pass.groups]
    return Figures(
        handled_twice=sum(sizes),
        busiest_hour=int(max(load.max() for load in first.values())),
        largest_group=max(sizes, default=0),
        busiest_second=max(second_loads(two_pass, volumes).values()),
    )


def lower_bounds(volumes: Volumes, chutes: Sequence[int], pins: Sequence[Pin] = ()) -> Figures:
    """What no plan that holds the pins goes below: parcels handled twice; and of the plans that do
    not handle more twice than that, each other figure.

    Raises NoTwoPass as plan_two_pass does.
    """
    task = _task(volumes, chutes, pins)
    items, total = volumes.items, volumes.items.sum(axis=1)
    fate = _fate(task, total)
    twice = int(total.sum() - total[fate.direct].sum() - fate.open_places * total[fate.either].max(initial=0))
    left = items.sum(axis=0) - items[fate.direct].sum(axis=0)
    left -= np.sort(items[fate.either], axis=0)[len(fate.either) - fate.open_places :].sum(axis=0)
    together = [items[0] * 0, *(items[_pinned_at(task, chute, 0)].sum(axis=0) for chute in task.group_chutes())]
    seconds = [int(total[_pinned_at(task, chute, 1)].sum()) for chute in range(len(chutes))]
    largest = int(total[fate.grouped].max(initial=0))
    return Figures(
        handled_twice=twice,
        busiest_hour=int(max(items.max(), -(-left.max() // fate.groups_most), np.max(together))),
        largest_group=int(max(-(-twice // fate.groups_most), largest, np.sum(together, axis=1).max())),
        busiest_second=max(-(-twice // len(chutes)), largest, *seconds),
    )


class _Fate(NamedTuple):
    """What all plans with fewest parcels handled twice have in common."""

    direct: list[int]  # stations that are direct in each of them
    either: list[int]  # stations as large as the smallest direct one: some of them are
    open_places: int  # how many of these at most
    grouped: list[int]  # stations that are direct in none
    groups_most: int  # a direct station without parcels could as well leave its chute to one more group


def _fate(task: _Task, total: Ints64) -> _Fate:
    order = _by_volume(task)
    spared = order[: task.direct_count - len(task.direct)]
    least = int(total[spared[-1]]) if spared else -1
    either = [station for station in order if total[station] == least]
    sure = [station for station in spared if total[station] > least]
    direct = [*task.direct, *sure]
    busy = len(task.direct) + int(np.count_nonzero(total[spared]))
    grouped = sorted(set(range(len(total))) - {*direct, *either})
    return _Fate(direct, either, len(spared) - len(sure), grouped, max(1, len(task.chutes) - busy))


def _pinned_at(task: _Task, chute: int, when: Literal[0, 1]) -> list[int]:
    """The grouped stations fixed at a chute of the first (0) or second (1) pass."""
    return [station for station, chutes in task.grouped.items() if chutes[when] == chute]


def summary(volumes: Volumes, chutes: Sequence[int], pins: Sequence[Pin], two_pass: TwoPass) -> Summary:
    """What a plan made of this comes to, beside the bounds and the simple way, and a line for each chute."""
    ours, bounds = figures(two_pass, volumes), lower_bounds(volumes, chutes, pins)
    simple = figures(baseline(volumes, chutes, pins), volumes)
    loads = first_loads(two_pass, volumes)
    items = int(volumes.items.sum())
    busiest = max(loads, key=lambda chute: int(loads[chute].max()))
    shape = SHAPE.about(
        stations=len(volumes.stations),
        chutes=len(two_pass.chutes),
        direct=len(two_pass.direct),
        grouped=len(two_pass.second),
        groups=len(two_pass.groups),
    )
    lines = [shape]
    for sentence, name, more in (
        (TWICE, "handled_twice", {"items": items, "share": f"{ours.handled_twice / max(items, 1):.1%}"}),
        (BUSIEST, "busiest_hour", {"chute": busiest, "hour": int(loads[busiest].argmax())}),
        (LARGEST, "largest_group", {"smallest": min((int(loads[at].sum()) for at in two_pass.groups), default=0)}),
        (SECOND_BUSIEST, "busiest_second", {}),
    ):
        facts = {"bound": getattr(bounds, name), "baseline": getattr(simple, name)}
        lines.append(sentence.about(ours=getattr(ours, name), beside=BESIDE.about(**facts), **facts, **more))
    return Summary(ours, bounds, simple, (*lines, *_chute_lines(two_pass, loads)))


def _chute_lines(two_pass: TwoPass, loads: Mapping[int, Ints64]) -> Iterable[Said]:
    alone = {chute: station for station, chute in two_pass.direct.items()}
    for chute, load in loads.items():
        facts = {"chute": chute, "items": int(load.sum()), "hour": int(load.argmax()), "most": int(load.max())}
        if chute in alone:
            yield DIRECT_CHUTE.about(station=alone[chute], **facts)
        elif chute in two_pass.groups:
            yield GROUP_CHUTE.about(stations=len(two_pass.groups[chute]), **facts)


MADE_LANE: Final = re.compile(r"P1-G?\d+$|P2-\d+$")
NO_TWINS: Final[Mapping[int, int]] = MappingProxyType({})


def tables(
    sheets: Mapping[str, Sheet],
    two_pass: TwoPass,
    pass_number: Literal[1, 2],
    rules: Collection[int],
    *,
    twins: Mapping[int, int] = NO_TWINS,
    language: Language = "zh",
) -> dict[str, Sheet]:
    """The rule set of one pass, from the sheets of a rule set without errors.

    Lanes of pass one are `P1-112` (the one station of chute 112) and `P1-G140` (the group of chute
    140), of pass two `P2-203` (whichever station of the group chute 203 has); none has trips, so
    that it always departs. Of the rules those of the numbers `rules` stay (see `rejecting`). Other
    chutes keep their lanes, and a lane without any chute left goes with its trips.
    In pass two direct stations have no lane: their parcels have no business there.
    `twins` maps chutes of other lines to the planned chute whose lane they serve too: without one, a
    planned station has no chute on another line.
    `language` is that of the new lanes' names. Raises NoTwoPass when a chute is an exception's, or the
    sheets are those of a pass themselves.
    """
    place = {chute: chute for chute in two_pass.chutes} | dict(twins)
    exceptions = {int(row.texts["chute"]) for row in sheets["exceptions"].rows}
    mixed = [EXCEPTION_CHUTE.about(chute=chute) for chute in place if chute in exceptions]
    made = [row.texts["lane"] for row in sheets["lanes"].rows if MADE_LANE.match(row.texts["lane"])]
    mixed += [MADE_ALREADY.about(lane=lane) for lane in made[:1]]
    if mixed:
        raise NoTwoPass(mixed)
    lanes = _first_lanes(sheets, two_pass) if pass_number == 1 else _second_lanes(two_pass)
    of_chute = {lane.chute: name for name, lane in lanes.items()}
    chutes = [
        _with(row, lane=of_chute.get(place[number], "") if (number := int(row.texts["chute"])) in place else None)
        for row in sheets["chutes"].rows
    ]
    kept = {lane.strip() for row in chutes for lane in row.texts["lane"].split("|")} - set(lanes)
    return {
        **sheets,
        "chutes": _sheet(sheets["chutes"], chutes),
        "stations": _sheet(sheets["stations"], _stations(sheets["stations"], two_pass, lanes, kept)),
        "lanes": _sheet(sheets["lanes"], [*_kept_lanes(sheets["lanes"], kept), *_new_lanes(lanes, language)]),
        "trips": _sheet(sheets["trips"], [row for row in sheets["trips"].rows if row.texts["lane"] in kept]),
        "rules": _sheet(
            sheets["rules"],
            [row for row in sheets["rules"].rows if int(row.texts["row"]) in rules],
        ),
    }


class _Lane(NamedTuple):
    chute: int
    stations: tuple[str, ...]
    title: Said


def _first_lanes(sheets: Mapping[str, Sheet], two_pass: TwoPass) -> dict[str, _Lane]:
    titles = {row.texts["station"]: row.texts["name"] for row in sheets["stations"].rows}
    alone = {
        f"P1-{chute}": _Lane(chute, (station,), DIRECT_TITLE.about(name=titles[station]))
        for station, chute in two_pass.direct.items()
    }
    return alone | {
        f"P1-G{chute}": _Lane(chute, stations, GROUP_TITLE.about(chute=chute, stations=len(stations)))
        for chute, stations in two_pass.groups.items()
    }


def _second_lanes(two_pass: TwoPass) -> dict[str, _Lane]:
    stations: dict[int, list[str]] = {}
    for station, chute in two_pass.second.items():
        stations.setdefault(chute, []).append(station)
    return {
        f"P2-{chute}": _Lane(chute, tuple(stations[chute]), SECOND_TITLE.about(chute=chute))
        for chute in two_pass.chutes
        if chute in stations
    }


def _stations(sheet: Sheet, two_pass: TwoPass, lanes: Mapping[str, _Lane], kept: set[str]) -> list[Cells]:
    lane_of = dict.fromkeys((*two_pass.direct, *two_pass.second), "")
    lane_of |= {station: name for name, lane in lanes.items() for station in lane.stations}
    return [
        _with(row, lane=lane_of.get(row.texts["station"], row.texts["lane"] if row.texts["lane"] in kept else ""))
        for row in sheet.rows
    ]


def _kept_lanes(sheet: Sheet, kept: set[str]) -> list[Cells]:
    return [
        _with(row, spill_to=None if row.texts["spill_to"] in kept else "")
        for row in sheet.rows
        if row.texts["lane"] in kept
    ]


def _new_lanes(lanes: Mapping[str, _Lane], language: Language) -> list[Cells]:
    blank = dict.fromkeys((*TABLES["lanes"], NOTE), "")
    return [
        Cells(0, blank | {"lane": name, "name": lane.title.told(language), "kind": "local", NOTE: MADE.told(language)})
        for name, lane in lanes.items()
    ]


def _with(row: Cells, **changed: str | None) -> Cells:
    """A row with some cells changed; None leaves a cell as it is."""
    return row._replace(texts=row.texts | {column: text for column, text in changed.items() if text is not None})


def _sheet(sheet: Sheet, rows: list[Cells]) -> Sheet:
    """A sheet of these rows, numbered as a spreadsheet will show them."""
    return sheet._replace(rows=[row._replace(at=at) for at, row in enumerate(rows, 2)])
