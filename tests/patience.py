"""A test waits for what it expects, as long as a slow machine may need; nothing is measured with its patience."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

PATIENCE_S: Final = 60.0
STEPS: Final = 4  # of so much patience at the most in one test


async def until(what: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Wait for it."""
    begun_s = time.monotonic()
    while not what():
        assert time.monotonic() - begun_s < within_s, f"it has not come within {within_s:.0f} s"
        await asyncio.sleep(0.002)


def run(check: Coroutine[Any, Any, None]) -> None:
    """A test to its end, also where something in it hangs."""

    async def bounded() -> None:
        async with asyncio.timeout(STEPS * PATIENCE_S):  # asyncio.wait_for of 3.11 may lose a cancellation
            await check

    asyncio.run(bounded())
