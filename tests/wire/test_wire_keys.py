"""Keys: whoever has no key with the role gets nothing in and nothing out, also on a connection that stands."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zmq

from sorter.records import Kind, Role
from sorter.wire import frames, keys
from sorter.wire.client import Client
from sorter.wire.control import Control, Unreachable
from sorter.wire.endpoints import Publisher, Router, dealer
from sorter.wire.frames import Ack, Command, Divert, Hello, Ping, Refuse, Scan
from sorter.wire.keys import Key, Keys, NoKeys, Secret, allows, check_address, is_local
from tests.wire.hub import Hub

PATIENCE_S = 20.0
LOCAL = "tcp://127.0.0.1:*"


class Gate(NamedTuple):
    """A daemon's side with keys, and a context for those outside."""

    folder: Path
    keys: Keys
    devices: Router
    control: Router
    live: Publisher
    outside: zmq.Context[Any]


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    folder = tmp_path / "keys"
    for name, role, line in (
        ("scanner-1", Role.SCANNER, ""),
        ("plc-L1", Role.PLC, "L1"),
        ("plc-L2", Role.PLC, "L2"),
        ("chen", Role.CONTROL, ""),
    ):
        keys.create(folder, name, role, line)
    inside: zmq.Context[Any] = zmq.Context()
    outside: zmq.Context[Any] = zmq.Context()
    admitted = Keys(folder, inside)
    made = Gate(
        folder,
        admitted,
        Router(LOCAL, name="devices", context=inside, keys=admitted),
        Router(LOCAL, name="control", context=inside, keys=admitted),
        Publisher(LOCAL, context=inside, keys=admitted),
        outside,
    )
    yield made
    for part in (made.devices, made.control, made.live, made.keys):
        part.close()
    outside.destroy(linger=0)
    inside.destroy(linger=0)


def until(true: Callable[[], object], *turns: Callable[[], object]) -> None:
    """Let things take their turns until something is true."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it never came true"
        for turn in turns:
            turn()
        time.sleep(0.001)


def raw(gate: Gate, name: str, router: Router, routing_id: bytes = b"") -> zmq.Socket[bytes]:
    """A DEALER with somebody's key that says what it likes; connected, or the test fails."""
    device = dealer(gate.outside, gate.folder / f"{name}.secret")
    if routing_id:
        device.routing_id = routing_id
    device.connect(router.address)
    assert device.poll(5000, zmq.POLLOUT)
    return device


def say(device: zmq.Socket[bytes], hub: Hub, *messages: frames.AnyMessage) -> frames.AnyMessage:
    """The first answer to a frame that is no acknowledgement."""
    device.send(frames.encode(*messages))
    while True:
        until(lambda: device.poll(1), hub.turn)
        [answer] = frames.decode(device.recv())
        if not isinstance(answer, Ack):
            return answer


def wrong(message: frames.AnyMessage) -> str:
    assert isinstance(message, Refuse), message
    return message.error


def test_a_key_admits_its_owner_as_its_role(gate: Gate) -> None:
    hub = Hub(gate.devices)
    scanner = Client(
        gate.devices.address,
        role="scanner",
        line="L1",
        client="s",
        key=gate.folder / "scanner-1.secret",
        context=gate.outside,
    )
    plc = Client(
        gate.devices.address,
        role="plc",
        line="L1",
        client="p",
        key=gate.folder / "plc-L1.secret",
        context=gate.outside,
    )
    scanner.scan(item=1, codes=["A"])
    plc.item(item=1)
    until(lambda: not scanner.unacknowledged and not plc.unacknowledged, hub.turn, scanner.poll, plc.poll)
    assert hub.divert("L1", 1)
    assert [divert.item for divert in plc.poll(PATIENCE_S)] == [1]
    assert {kind for _, kind, _, _ in hub.accepted} == {Kind.SCAN, Kind.ITEM}
    scanner.close()
    plc.close()


def test_a_frame_names_its_key(gate: Gate) -> None:
    device = raw(gate, "plc-L1", gate.devices)
    device.send(frames.encode(Ping()))
    assert gate.devices.poll(5000)
    [frame] = gate.devices.receive(5)
    assert (frame.user, frame.key) == ("plc-L1", keys.load_key(gate.folder / "plc-L1.key"))
    device.close()


def test_a_scanners_key_can_neither_divert_nor_command(gate: Gate) -> None:
    hub = Hub(gate.devices)
    device = raw(gate, "scanner-1", gate.devices)
    plc_hello = Hello(role="plc", client="p", line="L1", boot=1)
    assert wrong(say(device, hub, plc_hello)) == "wrong_role"
    assert wrong(say(device, hub, Scan(seq=1, item=1))) == "unknown_client"
    say(device, hub, Hello(role="scanner", client="s", line="L1", boot=1))
    for message in (
        Divert(line="L1", item=1, chute=101, reason="planned"),
        Command(id=1, verb="chute.lock", args={"chute": 101}),
        frames.Discharge(seq=1, item=1, chute=101, outcome="dropped"),
    ):
        assert wrong(say(device, hub, message)) == "wrong_role"
    assert {kind for _, kind, _, _ in hub.accepted} <= {Kind.TICK}
    device.close()
    control = Control(gate.control.address, key=gate.folder / "scanner-1.secret", timeout_s=0.5, context=gate.outside)
    with pytest.raises(Unreachable, match="is this one known and for control"):
        control.call("chute.lock", chute=101)
    assert gate.control.receive(5) == []
    control.close()


def test_a_key_of_one_line_does_not_speak_for_another(gate: Gate) -> None:
    hub = Hub(gate.devices)
    device = raw(gate, "plc-L2", gate.devices)
    refuse = say(device, hub, Hello(role="plc", client="p", line="L1", boot=1))
    assert isinstance(refuse, Refuse)
    assert refuse.detail == 'the key "plc-L2" is for a plc on line L2; it may not act as plc on line L1'
    device.close()


def test_a_control_key_does_not_connect_as_a_device_and_sees_live(gate: Gate) -> None:
    device = dealer(gate.outside, gate.folder / "chen.secret")
    device.connect(gate.devices.address)
    assert not device.poll(300, zmq.POLLOUT)
    device.close()
    screens = {}
    for name in ("chen", "scanner-1"):
        screen: zmq.Socket[bytes] = gate.outside.socket(zmq.SUB)
        pair = keys.load_secret(gate.folder / f"{name}.secret")
        screen.curve_publickey, screen.curve_secretkey, screen.curve_serverkey = pair
        screen.subscribe(b"")
        screen.connect(gate.live.address)
        screens[name] = screen
    until(lambda: screens["chen"].poll(1), lambda: gate.live.send(b"belt", b"1"))
    assert not screens["scanner-1"].poll(200)
    for screen in screens.values():
        screen.close()


def test_without_a_known_key_nothing_gets_in(gate: Gate, tmp_path: Path) -> None:
    keys.create(tmp_path / "other", "scanner-1", Role.SCANNER)
    stranger = tmp_path / "other" / "scanner-1.secret"
    pair, server = keys.load_secret(stranger), gate.keys.server
    stranger.unlink()
    text = "".join(
        f'{name} = "{value.decode()}"\n'
        for name, value in (("public", pair.public), ("secret", pair.secret), ("server", server.public))
    )
    stranger.write_text(text)
    for key in (stranger, None):
        client = Client(gate.devices.address, role="scanner", client="s", line="L1", key=key, context=gate.outside)
        client.scan(item=1)
        if key:
            until(client.refusals, client.poll)
        with pytest.raises(TimeoutError):
            client.flush(0.3)
        assert gate.devices.receive(5) == []
        assert gate.devices.counts.received == 0
        client.close()


def test_a_client_is_told_that_its_key_is_not_admitted(gate: Gate) -> None:
    client = Client(
        gate.devices.address,
        role="scanner",
        client="s",
        line="L1",
        key=gate.folder / "chen.secret",
        context=gate.outside,
    )
    client.scan(item=1)
    found: list[Refuse] = []
    until(lambda: found, client.poll, lambda: found.extend(client.refusals()))
    assert found[0].error == "not_admitted"
    assert "does not admit this key" in found[0].detail
    client.close()


def test_nobody_takes_the_name_of_another(gate: Gate) -> None:
    hub = Hub(gate.devices)
    plc = Client(
        gate.devices.address, role="plc", line="L1", client="p", key=gate.folder / "plc-L1.secret", context=gate.outside
    )
    until(lambda: plc.welcomed, hub.turn, plc.poll)
    [peer] = hub.speakers
    named = raw(gate, "plc-L2", gate.devices, routing_id=b"plc-L1")
    assert wrong(say(named, hub, Hello(role="plc", client="p", line="L1", boot=1))) == "routing_id"
    assert gate.devices.counts.named == 1
    # The name that the daemon gave to the PLC's connection is 32 random bits; say it was guessed.
    thief = raw(gate, "plc-L2", gate.devices, routing_id=peer[1:])
    thief.send(frames.encode(Ping()))
    for item in range(5, 25):
        assert hub.divert("L1", item)
        assert [divert.item for divert in plc.poll(PATIENCE_S)] == [item]
        assert not thief.poll(10)
        assert not named.poll(0)
    for socket in (thief, named, plc):
        socket.close()


def test_a_revoked_key_is_shut_out_of_a_connection_that_stands(gate: Gate) -> None:
    hub = Hub(gate.devices)
    plc, other = (
        Client(
            gate.devices.address,
            role="plc",
            line=line,
            client=line,
            key=gate.folder / f"plc-{line}.secret",
            context=gate.outside,
        )
        for line in ("L1", "L2")
    )
    until(lambda: plc.welcomed and other.welcomed, hub.turn, plc.poll, other.poll)
    assert hub.divert("L1", 5)
    (gate.folder / "plc-L1.key").unlink()
    until(lambda: not hub.divert("L1", 6))
    plc.item(item=1)
    refused: list[Refuse] = []
    until(lambda: refused, hub.turn, lambda: refused.extend(plc.refusals()), plc.poll)
    assert refused[0].error == "revoked"
    assert gate.devices.counts.revoked >= 1
    assert hub.accepted == []
    other.item(item=2)
    until(lambda: not other.unacknowledged, hub.turn, other.poll)
    late = dealer(gate.outside, gate.folder / "plc-L1.secret")
    late.connect(gate.devices.address)
    assert not late.poll(300, zmq.POLLOUT)
    for client in (plc, other, late):
        client.close()


def test_a_new_key_of_the_same_name_does_not_revive_the_old_connection(gate: Gate) -> None:
    hub = Hub(gate.devices)
    old = raw(gate, "scanner-1", gate.devices)
    say(old, hub, Hello(role="scanner", client="s", line="L1", boot=1))
    before = gate.keys.find(keys.load_key(gate.folder / "scanner-1.key").public.decode())
    assert before is not None
    for suffix in ("key", "secret"):
        (gate.folder / f"scanner-1.{suffix}").unlink()
    keys.create(gate.folder, "scanner-1", Role.SCANNER)
    until(lambda: gate.keys.find(before.public.decode()) is None)
    assert wrong(say(old, hub, Ping())) == "revoked"
    new = raw(gate, "scanner-1", gate.devices)
    assert not isinstance(say(new, hub, Hello(role="scanner", client="s", line="L1", boot=2)), Refuse)
    old.close()
    new.close()


def test_when_the_handler_ends_nobody_is_admitted(gate: Gate) -> None:
    hub = Hub(gate.devices)
    standing = raw(gate, "scanner-1", gate.devices)
    say(standing, hub, Hello(role="scanner", client="s", line="L1", boot=1))
    gate.keys.close()
    standing.send(frames.encode(Ping()))
    until(lambda: gate.devices.counts.revoked, hub.turn)
    late = dealer(gate.outside, gate.folder / "scanner-1.secret")
    late.connect(gate.devices.address)
    assert not late.poll(300, zmq.POLLOUT)
    standing.close()
    late.close()


def test_a_folder_that_goes_away_admits_nobody_until_it_is_back(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    public = keys.load_key(gate.folder / "chen.key").public.decode()
    away = gate.folder.with_name("away")
    gate.folder.rename(away)
    until(lambda: gate.keys.find(public) is None)
    assert caplog.text.count("so nobody is admitted") == 1
    away.rename(gate.folder)
    until(lambda: gate.keys.find(public) is not None)


def test_a_broken_key_beside_good_ones_is_left_out_and_told(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    good = keys.load_key(gate.folder / "chen.key").public.decode()
    (gate.folder / "bad.key").write_text('role = "scanner"\npublic = "short"\n')
    until(lambda: "bad.key: public is missing or is no key" in caplog.text)
    assert gate.keys.find(good) is not None


def test_a_pair_is_two_files_that_others_cannot_read(tmp_path: Path) -> None:
    path = keys.create(tmp_path / "keys", "scanner-1", Role.SCANNER, "分拣线1")
    assert path == tmp_path / "keys" / "scanner-1.secret"
    key = keys.load_key(path.with_suffix(".key"))
    secret = keys.load_secret(path)
    server = keys.load_secret(path.with_name("server.secret"))
    assert key == Key("scanner-1", Role.SCANNER, "分拣线1", secret.public)
    assert secret == Secret(secret.public, secret.secret, server.public)
    assert len({secret.public, secret.secret, server.public, server.secret}) == 4
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}
    assert secret.secret.decode() not in path.with_suffix(".key").read_text()
    with pytest.raises(FileExistsError):
        keys.create(tmp_path / "keys", "scanner-1", Role.SCANNER)
    assert keys.load_secret(path) == secret
    keys.create_server(tmp_path / "keys")
    assert keys.load_secret(path.with_name("server.secret")) == server


@pytest.mark.parametrize("name", ["", "server", "../x", "a b", "n" * 32, "扫描"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a key"):
        keys.create(tmp_path, name, Role.SCANNER)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("role = scanner", "is not a key file"),
        ("", 'role "" is not one of scanner, plc, control'),
        ('role = "boss"', 'role "boss" is not one of'),
        ('role = "plc"', "public is missing or is no key of 40 Z85 characters"),
        ('role = "plc"\npublic = 7', "public is missing"),
        (f'role = "plc"\npublic = "{"~" * 40}"', "public is missing"),
        (f'role = "plc"\npublic = "{"中" * 40}"', "public is missing"),
        ("\0", "is not a key file"),
    ],
)
def test_a_file_that_is_no_key_stops_the_start_by_name(tmp_path: Path, text: str, says: str) -> None:
    keys.create(tmp_path, "good", Role.SCANNER)
    (tmp_path / "bad.key").write_text(text)
    context: zmq.Context[Any] = zmq.Context()
    with pytest.raises(ValueError, match=r"bad\.key") as caught:
        Keys(tmp_path, context)
    assert says in str(caught.value)
    context.destroy(linger=0)


def test_a_folder_without_the_daemons_key_stops_the_start(tmp_path: Path) -> None:
    context: zmq.Context[Any] = zmq.Context()
    with pytest.raises(FileNotFoundError, match=r"server\.secret"):
        Keys(tmp_path, context)
    context.destroy(linger=0)


def test_a_secret_is_not_shown_in_an_error(tmp_path: Path) -> None:
    path = keys.create(tmp_path, "s", Role.SCANNER)
    secret = keys.load_secret(path).secret.decode()
    path.chmod(0o600)
    path.write_text(path.read_text().replace(f'secret = "{secret}"', f'secret = "{secret}9"'))
    with pytest.raises(ValueError, match="secret is missing") as caught:
        keys.load_secret(path)
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("tcp://127.0.0.1:5570", True),
        ("tcp://127.8.0.1:*", True),
        ("tcp://localhost:5570", True),
        ("tcp://[::1]:5570", True),
        ("ipc:///run/hub-sorter", True),
        ("inproc://x", True),
        ("tcp://0.0.0.0:5570", False),
        ("tcp://*:5570", False),
        ("tcp://[::]:5570", False),
        ("tcp://eth0:5570", False),
        ("tcp://192.168.1.10:5570", False),
        ("tcp://127.0.0.1.example.org:5570", False),
        ("tcp://hub.local:5570", False),
        ("", False),
    ],
)
def test_an_address_that_others_reach_needs_keys(address: str, local: bool) -> None:
    assert is_local(address) is local
    check_address("devices", address, Path("keys"))
    if local:
        check_address("devices", address, None)
    else:
        with pytest.raises(NoKeys, match=r"the devices address .* can be reached from other machines, so keys"):
            check_address("devices", address, None)


def test_who_may_act_as_what() -> None:
    anywhere = Key("s", Role.SCANNER, "", b"")
    bound = Key("p", Role.PLC, "L1", b"")
    assert allows(None, Role.CONTROL) is None
    assert allows(anywhere, Role.SCANNER, "L2") is None
    assert allows(bound, Role.PLC, "L1") is None
    for key, role, line in (
        (anywhere, Role.PLC, "L1"),
        (bound, Role.PLC, "L2"),
        (bound, Role.PLC, ""),
        (bound, Role.CONTROL, "L1"),
    ):
        refuse = allows(key, role, line)
        assert refuse is not None
        assert refuse.error == "wrong_role"


def test_deleting_a_key_while_the_folder_is_read_harms_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.create(tmp_path, "a", Role.SCANNER)
    keys.create(tmp_path, "b", Role.SCANNER)
    scan = os.scandir

    class Vanishing:
        def __init__(self, folder: Path) -> None:
            self.entries = list(scan(folder))

        def __enter__(self) -> list[os.DirEntry[str]]:
            (tmp_path / "a.key").unlink()
            return self.entries

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Vanishing)
    assert [name for name, *_ in keys._signature(tmp_path)] == ["b.key"]
