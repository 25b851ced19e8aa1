"""Site time: scaled from one anchor, the same in every process, never back."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorter.clock import NS_PER_S, Clock


def test_the_empty_text_is_real_time() -> None:
    assert abs(Clock.from_text("").now_ns() - round(datetime.now().astimezone().timestamp() * NS_PER_S)) < 5 * NS_PER_S


def test_a_day_may_run_faster() -> None:
    anchor_ns = Clock().now_ns() - 2 * NS_PER_S
    clock = Clock.from_text(f"2026-11-11T05:00:00+08:00,600,{anchor_ns}")
    past_s = (clock.now_ns() - datetime.fromisoformat("2026-11-11T05:00:00+08:00").timestamp() * NS_PER_S) / NS_PER_S
    assert 1200 <= past_s < 1200 + 600 * 60
    assert clock.real_s(600 * NS_PER_S) == 1.0


@given(st.floats(0.001, 1e6), st.integers(0, 2**62))
def test_time_never_goes_back(rate: float, anchor_ns: int) -> None:
    clock = Clock(0, rate, anchor_ns)
    times = [clock.now_ns() for _ in range(50)]
    assert times == sorted(times)


@pytest.mark.parametrize(
    "text", ["now", "2026-11-11T05:00:00+08:00,0,1", "2026-11-11T05:00:00,1,1", "x,1,1", "1,2,3,4"]
)
def test_what_is_no_clock_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"write \"2026-11-11"):
        Clock.from_text(text)
