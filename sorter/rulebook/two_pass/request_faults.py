"""Everything that is wrong with the chutes and pins asked for, told at once."""

from collections.abc import Sequence
from typing import Final

from sorter.reasons import Said, Sentence
from sorter.rulebook.two_pass.free_chutes import NO_CHUTES
from sorter.rulebook.two_pass.request import Pin, Volumes

CHUTE_TWICE: Final = Sentence("格口 {chute} 写了两次；请只写一次", "chute {chute} is named twice; name it once")
TOO_MANY: Final = Sentence(
    "{stations} 个站点太多：{chutes} 个格口分两次，最多分 {most} 个站点；请增加格口，或减少站点",
    "{stations} stations are too many: two passes over {chutes} chutes sort at most {most}; "
    "give more chutes or fewer stations",
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


def faults_of(volumes: Volumes, chutes: Sequence[int], pins: Sequence[Pin]) -> list[Said]:
    """What is wrong with the chutes, with each pin, and with pins of two stations."""
    faults = [*_chute_faults(chutes), *_pin_faults(volumes, chutes, pins), *_meetings(pins, len(chutes))]
    stations, count = len(volumes.stations), len(chutes)
    if count and stations > count * count:
        faults.append(TOO_MANY.about(stations=stations, chutes=count, most=count * count))
    return faults


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
