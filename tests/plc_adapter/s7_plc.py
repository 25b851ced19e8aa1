"""A real S7 server on a PlcSide, and what can go wrong with it: a cut network, a frozen CPU."""

import threading
from collections.abc import Callable

from plc_adapter.emulator.s7_face import MailboxServer
from plc_adapter.mailbox import PlcSide, Told
from plc_adapter.settings import S7

REPORTS_DB, REPORTS_AT = 100, 4
ORDERS_DB, ORDERS_AT = 101, 0


class _Server(MailboxServer):
    """Not `running` it takes what is sent and answers nothing, not even how large a PDU may be."""

    def __init__(self, plc: "S7Plc", running: threading.Event) -> None:
        super().__init__(plc.settings, plc.read, plc.write)
        self._awake = running

    def _process_request(self, request_data: bytes, client_address: tuple[str, int]) -> bytes | None:
        self._awake.wait()
        return super()._process_request(request_data, client_address)


class S7Plc:
    """Serves one PlcSide on a loopback port; `stopped` it answers without a scan."""

    def __init__(self, plc: PlcSide, now_ns: Callable[[], int]) -> None:
        self.plc = plc
        self.told: list[Told] = []
        self.running = threading.Event()
        self.running.set()
        self.stopped = False
        self.port = 0
        self._now_ns = now_ns
        self._last = b""
        self._server: _Server | None = None

    @property
    def settings(self) -> S7:
        """Its section of site.toml, once it has been started."""
        return S7(
            host="127.0.0.1",
            port=self.port,
            reports_db=REPORTS_DB,
            reports_at=REPORTS_AT,
            orders_db=ORDERS_DB,
            orders_at=ORDERS_AT,
        )

    async def start(self) -> None:
        """Listen; on the same port as before after a stop."""
        self._server = _Server(self, self.running)
        self.port = await self._server.listen("127.0.0.1", self.port)

    async def stop(self) -> None:
        """Close the listener and every connection."""
        if self._server is not None:
            await self._server.hang_up()
            self._server = None

    cut, mend = stop, start  # a network that comes back finds the program as it left it

    def read(self) -> bytes:
        if not self.stopped:
            self._last = self.plc.block(self._now_ns() // 1_000_000)
        return self._last

    def write(self, block: bytes) -> None:
        if not self.stopped:
            self.told += self.plc.receive(block, self._now_ns())
