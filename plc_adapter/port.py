"""What a PLC must offer: two blocks of registers, one read and one written, and four ways to fail.

    PortError
    ├── Unreachable   no connection; it may come back by itself
    ├── Late          connected, but no answer in time
    ├── Refused       the PLC answered no, or another adapter drives it
    └── Garbled       an answer that is no mailbox

A port moves the bytes of plc_adapter.mailbox and knows nothing of what they mean. Whoever
calls it decides what an error costs; a port never retries an exchange by itself, and after
any error it is fit to be called again.
"""

from enum import StrEnum
from typing import Protocol


class Cause(StrEnum):
    """What is known of a failure beyond its place in the tree, by the name that scripts read."""

    NOT_INSTALLED = "not_installed"  # the dialect's package is missing on this computer
    DROPPED = "dropped"  # there was a connection, and the PLC closed it
    RACK_SLOT = "rack_slot"  # no CPU answers in this rack and slot
    UNIT = "unit"  # a Modbus server refuses, as it does for a unit number that is not its own
    NO_BLOCK = "no_block"  # the place that the settings name does not exist
    PROTECTED = "protected"  # the place may exist; the PLC lets nobody at it
    SHAPE = "shape"  # the place exists, and has another length or type than a mailbox
    SECURITY = "security"  # it wants encryption, or a user with a password
    BUSY = "busy"  # it has no session free
    OUSTED = "ousted"  # another adapter has taken the PLC over


class PortError(Exception):
    """An exchange with a PLC failed. The text says what, where and what to do next.

    `cause` is set where a port knows more than the tree tells; the text is for people only.
    """

    def __init__(self, text: str, cause: Cause | None = None) -> None:
        super().__init__(text)
        self.cause = cause


class Unreachable(PortError):
    """There is no connection to the PLC."""


class Late(PortError):
    """The PLC is connected but did not answer in time."""


class Refused(PortError):
    """The PLC answered that it will not, or another adapter drives it."""


class Garbled(PortError):
    """The PLC answered something that is no mailbox."""


class Port(Protocol):
    """One PLC. Every method raises PortError and nothing else."""

    @property
    def name(self) -> str:
        """Where the PLC is, for people: `modbus 10.0.0.7:502`."""

    async def connect(self) -> None:
        """Reach the PLC; nothing happens when it is connected already."""

    async def exchange(self, out: bytes) -> bytes:
        """Write the host's block, then read the PLC's: mailbox.BLOCK_BYTES each way."""

    async def read(self) -> bytes:
        """Read the PLC's block and change nothing."""

    async def close(self) -> None:
        """Let go of the connection."""
