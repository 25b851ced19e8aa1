"""What every benchmark shares: one core to itself, and a result that names its commit, machine and answers."""

import hashlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent
NS_PER_S: Final = 1_000_000_000


class Result(NamedTuple):
    """What one benchmark prints; `hash` is sha256 over the answers it computed."""

    name: str
    hash: str
    figures: Mapping[str, Any]
    ratios: Mapping[str, float | None]  # None: the other side is not installed

    def json(self) -> dict[str, Any]:
        """The object of DESIGN §11."""
        where = {"commit": commit(), "machine": machine()}
        return {"name": self.name, **where, "hash": self.hash, "figures": self.figures, "ratios": self.ratios}


def commit() -> str:
    """The commit that was measured; `+` when files differ from it, `unknown` outside a clone."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return f"{head}{'+' if _git('status', '--porcelain', '--', 'sorter', 'bench') else ''}" if head else "unknown"


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def machine() -> str:
    """Processor, cores and memory, system."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")]
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    model = names[0] if names else platform.machine()
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores, {memory_gb:.0f} GB, {system}"


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on its last core, so that no migration is measured."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the rounds of ours / theirs: both sides of a pair were measured one after the other."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def three_digits(value: float) -> float:
    """As many digits as a benchmark can honestly show."""
    return float(f"{value:.3g}")


def note(text: str) -> None:
    """Say on stderr what is beside the figures."""
    print(f"  {text}", file=sys.stderr, flush=True)


def hash_of(*parts: bytes) -> str:
    """sha256 over parts in order, 64 hex digits."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()
