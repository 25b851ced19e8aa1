"""Bugs planted on purpose: the simulation is worth what it finds of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

BUGS: Final[dict[str, Callable[[], AbstractContextManager[Any]]]] = {}
