"""From the journal to tables that staff query: in a process of its own, which reads files and nothing else."""

from collections.abc import Callable
from pathlib import Path


class Projection:
    """ledger.db beside the journal, and how far it has come."""

    def __init__(self, folder: Path) -> None:
        """Open or rebuild FOLDER/ledger.db. Raises InUse when another projection writes it."""

    def catch_up(self) -> int:
        """Take what the journal has now, in bounded transactions; returns how many events that were. Raises Damaged."""
        raise NotImplementedError

    def close(self) -> None:
        """Give up the files."""


def run(folder: Path, *, stop: Callable[[], bool], idle_s: float = 0.05) -> None:
    """Keep ledger.db up with the journal until stop() is true, then catch up once more."""
    raise NotImplementedError
