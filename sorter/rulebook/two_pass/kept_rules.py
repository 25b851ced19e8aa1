"""The rules that stay in both passes: those that reject, and reject no more than before."""

from collections.abc import Collection

from sorter.records import Target
from sorter.rulebook.rows import Checked
from sorter.rulebook.two_pass.planned_stations import could_take


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
        elif found is stay and any(could_take(rule, row) for row in mine):
            found = left
    return stay, left
