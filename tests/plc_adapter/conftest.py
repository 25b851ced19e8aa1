"""What every test of the adapter may ask for: a daemon to talk to, and time enough on a busy machine."""

from collections.abc import Iterator

import pytest

from plc_adapter import modbus, opcua_session, s7
from tests.plc_adapter.router_daemon import RouterDaemon
from tests.system.hubs import free_port


@pytest.fixture
def daemon() -> Iterator[RouterDaemon]:
    daemon = RouterDaemon(f"tcp://127.0.0.1:{free_port()}")
    daemon.start()
    yield daemon
    daemon.stop()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no slow PLC."""
    for dialect in (modbus, s7, opcua_session):
        monkeypatch.setattr(dialect, "TIMEOUT_S", 20.0)
