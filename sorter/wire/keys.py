"""Who may connect, and as what: CURVE keys in a folder, one file each, looked at again every half second."""

from pathlib import Path
from typing import NamedTuple

from sorter.records import Role
from sorter.wire.frames import Refuse


class Key(NamedTuple):
    """One device's or person's key: the public half and what it may be used for."""

    name: str
    role: Role
    line: str  # the only line it may speak for; empty: any
    public: bytes  # Z85, 40 characters


class NoKeys(ValueError):
    """An address that others can reach, and no keys: nothing is bound."""


def is_local(address: str) -> bool:
    """Whether a ZeroMQ address can be reached from this machine alone."""
    raise NotImplementedError


def check_address(name: str, address: str, folder: Path | None) -> None:
    """Raise NoKeys when `address` can be reached from other machines and there is no folder of keys."""
    raise NotImplementedError


def create_server(folder: Path) -> None:
    """Make the daemon's own key pair in `folder`, if there is none."""
    raise NotImplementedError


def create(folder: Path, name: str, role: Role, line: str = "") -> Path:
    """Make a key pair: NAME.key stays in `folder`; the path returned is NAME.secret, for the device alone."""
    raise NotImplementedError


def allows(key: Key | None, role: Role, line: str = "") -> Refuse | None:
    """A refusal when `key` may not act as `role` on `line`; None: it may, or no keys are in use."""
    raise NotImplementedError


class Keys:
    """The folder of keys of a running daemon, and the ZAP handler that admits only their owners."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, user: str) -> Key | None:
        """The key of a `User-Id` as the folder is now; None: revoked or never known."""
        raise NotImplementedError

    def close(self) -> None:
        """End the handler; nobody is admitted from here on."""
        raise NotImplementedError
