"""A plan in sentences: each figure beside its bound and the simple way, then a line for each chute."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from sorter.reasons import Said, Sentence
from sorter.records import Ints64
from sorter.rulebook.two_pass.bounds import lower_bounds
from sorter.rulebook.two_pass.figures import Figures, figures, first_loads
from sorter.rulebook.two_pass.planning import TwoPass, baseline
from sorter.rulebook.two_pass.request import Pin, Volumes

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
    "第二次最多的格口：各组加起来 {ours} 件（{beside}）",
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


class Summary(NamedTuple):
    """A plan beside the bounds and beside the simple way."""

    ours: Figures
    bounds: Figures
    baseline: Figures
    lines: tuple[Said, ...]


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
