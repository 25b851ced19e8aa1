"""Answers in words: what staff read holds what the answer says."""

from typing import Any

from sorter import words
from sorter.reasons import Reason

HOUR_NS = 3600 * 10**9
TRACE: dict[str, Any] = {
    "waybill": "YT1",
    "items": [
        {
            "line": "L1",
            "item": 7,
            "scans": [{"t_ns": 0, "codes": ["YT1"], "weight_g": 812, "lap": 1}],
            "decision": {
                "chute": 108,
                "alternate": None,
                "reason": "planned",
                "row": 30,
                "plan": "abcdef0123456789",
                "t_ns": 10**9,
            },
            "discharge": {"t_ns": 2 * 10**9, "chute": 108, "outcome": "dropped"},
            "load_unit": "108-1",
            "trip": {"lane": "BUS-1", "departs_ns": HOUR_NS},
        }
    ],
}


def test_a_trace_tells_the_whole_way_in_local_time() -> None:
    told = words.trace(TRACE, 8 * HOUR_NS)
    assert told.splitlines() == [
        "waybill YT1",
        "item 7 on line L1",
        "  1970-01-01 08:00:00  read YT1, 812 g, lap 1",
        "  1970-01-01 08:00:01  chute 108: sorted as planned (按分拣方案落格)",
        "                       by rule row 30, plan abcdef012345",
        "  1970-01-01 08:00:02  dropped into chute 108",
        "                       in load unit 108-1",
        "  1970-01-01 09:00:00  leaves by BUS-1",
    ]


def test_every_reason_has_its_sentence() -> None:
    assert all("(" in words.sentence(reason.word) for reason in Reason)


def test_a_long_list_of_refusals_is_cut_and_says_so() -> None:
    told = words.loaded("advices", {"accepted": 1, "refused": [f"row {row}: wrong" for row in range(25)]})
    assert told.startswith("1 advices taken, 25 refused\nrow 0: wrong")
    assert told.endswith("and 5 more; --json lists all")
