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

from typing import Protocol


class PortError(Exception):
    """An exchange with a PLC failed. The text says what, where and what to do next."""


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
