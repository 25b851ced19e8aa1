"""What every command shares: its options, how it answers, how it refuses.

Exit codes: 0 ok, 1 failure, 2 usage, 3 the input was refused.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from sorter.clock import BadClock
from sorter.demo import DemoFailed
from sorter.init import FolderInUse
from sorter.ledger.journal import JournalError
from sorter.ledger.reader import NotReady
from sorter.publishing import NotTaken
from sorter.reasons import Declined, Language
from sorter.rulebook import Rejected
from sorter.site import Site, SiteRefused
from sorter.wire.control import CommandRefused, Control, NoAnswer, Unreachable
from sorter.wire.keys import NoKeys

FAILURE: Final = 1
REFUSED: Final = 3
ANSWER_S: Final = 10.0


def _language() -> Language:
    """Zh where the terminal is Chinese."""
    spoken = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return "zh" if spoken.startswith("zh") else "en"


site_option = click.option(
    "--site",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="this folder",
    help="The folder that holds site.toml.",
)
language_option = click.option(
    "--language",
    type=click.Choice(["zh", "en"]),
    default=_language,
    show_default="that of LANG",
    help="Of what is told.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
clock_option = click.option(
    "--clock", default="", metavar="TEXT", help="START,RATE,ANCHOR_NS: a scaled clock shared by all processes."
)


def tell(answer: Any, text: str, *, as_json: bool) -> None:
    """Print an answer as one JSON object or in words."""
    click.echo(json.dumps(answer, ensure_ascii=False) if as_json else text)


def fail(code: int, error: object) -> NoReturn:
    """Say on stderr what is wrong, and end."""
    click.echo(str(error), err=True)
    sys.exit(code)


@contextmanager
def refusals(language: Language = "en") -> Iterator[None]:
    """Whatever an operator can cause becomes a sentence and an exit code."""
    try:
        yield
    except NotTaken as error:
        fail(FAILURE, error.said.told(language))
    except Declined as error:
        fail(REFUSED, error.said.told(language))
    except Rejected as error:
        fail(REFUSED, error.told(language))
    except (SiteRefused, FolderInUse, CommandRefused, NoKeys, BadClock, UnicodeDecodeError) as error:
        fail(REFUSED, error)
    except (Unreachable, NoAnswer, NotReady, JournalError, DemoFailed, OSError) as error:
        fail(FAILURE, error)


def account() -> str:
    """Whose account this is, also behind sudo; no one but root can say otherwise."""
    asked = os.environ.get("SUDO_UID", "") if os.getuid() == 0 else ""
    uid = int(asked) if asked.isdecimal() else os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def control(site: Site, timeout_s: float = ANSWER_S) -> Control:
    """A connection to the running daemon. Where the hub uses keys, control.secret is ours."""
    return Control(site.wire.control, key=site.keys / "control.secret" if site.keys else None, timeout_s=timeout_s)


def order(site: Site, verb: str, **args: Any) -> Any:
    """Give the running daemon an order and return its answer."""
    with closing(control(site)) as daemon:
        return daemon.call(verb, by=account(), **args)


def carry_out(site: Site, verb: str, **args: Any) -> Any:
    """Give an order that is done or refused, and end with the refusal."""
    answer = order(site, verb, **args)
    if answer["refused"]:
        fail(REFUSED, "\n".join(fault["detail"] for fault in answer["refused"]))
    return answer
