"""The sockets, with the options that were measured to lose nothing unseen and to wait for nobody.

A send proves nothing, only an `ack` does; whoever sends is judged by its key, never by its routing id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import zmq
from zmq import DONTWAIT, SNDMORE

from sorter import limits
from sorter.wire import frames
from sorter.wire.frames import Refuse
from sorter.wire.keys import Key, Keys, load_secret

Context = zmq.Context[Any]
Socket = zmq.Socket[bytes]

HEARTBEAT_MS: Final = 200
HEARTBEAT_TIMEOUT_MS: Final = 600  # a dead peer is noticed after 0.8 s; without heartbeats after 15 minutes
HANDSHAKE_MS: Final = 3000
RECONNECT_MS: Final = 50
RECONNECT_MAX_MS: Final = 500
SEND_FRAMES_MAX: Final = 4096  # queued for one peer before it is dropped
RECEIVE_FRAMES_MAX: Final = 1000  # queued from one peer before it has to wait; 256 costs a quarter of the rate
_CURVE_BYTES: Final = 64  # what CURVE adds to a frame, rounded up
_PEERS_MAX: Final = 4 * limits.CLIENTS_MAX  # remembered; the oldest is forgotten

_DEALER: Final = b"d"
_REQ: Final = b"r"

_MULTIPART: Final = Refuse(
    error="multipart", detail="a message has one part; send several messages as an array in one frame"
)
_REVOKED: Final = Refuse(error="revoked", detail="this key was revoked; ask whoever runs the hub for a new one")
_NAMED: Final = Refuse(error="routing_id", detail="leave the routing id unset; the key says who you are")
_UNREAD: Final = Refuse(
    error="dropped", detail="you did not read fast enough, so messages to you were dropped; keep reading, say hello"
)


class CannotBind(OSError):
    """The address is in use or is no address of this machine."""


class Frame(NamedTuple):
    """One frame as it came."""

    peer: bytes  # opaque: give it back to `send`
    user: str  # the key's name; empty when no keys are in use
    data: bytes
    key: Key | None = None  # the key as its file is now; None when no keys are in use


@dataclass(slots=True)
class Counts:
    """What a router did since it was bound."""

    received: int = 0
    sent: int = 0
    multipart: int = 0  # refused: more parts than the envelope
    revoked: int = 0  # refused: its key's file is gone
    named: int = 0  # refused: chose its own routing id although keys are in use
    dropped: int = 0  # peers given up because their queue was full
    gone: int = 0  # sends to peers that are not connected any more


class Router:
    """A bound ROUTER: many peers, none of which can make another wait. One thread."""

    def __init__(self, address: str, *, name: str, context: Context, keys: Keys | None = None) -> None:
        """`name` is devices or control: with keys it decides which roles may connect. Raises CannotBind."""
        self.counts = Counts()
        self.socket = _bound(zmq.ROUTER, address, name, context, keys)
        self.address = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._keys = keys
        self._dropped: dict[bytes, str] = {}  # peers whose queue was full
        self._owners: dict[bytes, str] = {}  # with keys: peer -> User-Id of its connection

    def poll(self, timeout_ms: int) -> bool:
        """Whether something has arrived, after at most `timeout_ms`."""
        return wait((self,), timeout_ms)

    def receive(self, limit: int) -> list[Frame]:
        """Up to `limit` frames that have arrived, in order; never waits."""
        found: list[Frame] = []
        receive = self.socket.recv
        for _ in range(limit):
            try:
                routing_id = receive(DONTWAIT)
            except zmq.Again:
                break
            part = receive(DONTWAIT, copy=False)
            if part.more or self._keys or self._dropped:
                frame = self._checked(routing_id, part)
                if frame:
                    found.append(frame)
            else:
                found.append(Frame(_DEALER + routing_id, "", part.bytes))
        self.counts.received += len(found)
        return found

    def send(self, peer: bytes, data: bytes) -> bool:
        """Queue a frame for a peer; never waits.

        False: the peer is gone, its key was revoked, or it was dropped because its queue is full.
        It has to say hello again before it is sent anything; a dropped one is told so when it next speaks.
        """
        if peer in self._dropped or (self._keys and not self._keys.find(self._owners.get(peer, ""))):
            return False
        return self._put(peer, data)

    def close(self) -> None:
        """Close the socket; what is queued is dropped."""
        self.socket.close()

    def _put(self, peer: bytes, data: bytes) -> bool:
        send = self.socket.send
        try:
            send(peer[1:], DONTWAIT | SNDMORE)
            if peer[:1] == _REQ:
                send(b"", DONTWAIT | SNDMORE)
            send(data, DONTWAIT)
        except zmq.Again:
            self.counts.dropped += 1
            _remember(self._dropped, peer, "")
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self.counts.gone += 1
            return False
        self.counts.sent += 1
        return True

    def _checked(self, routing_id: bytes, part: zmq.Frame) -> Frame | None:
        """The slow way in: envelopes of REQ, too many parts, keys, peers that were dropped."""
        peer = _DEALER + routing_id
        if part.more and not part.bytes:
            peer = _REQ + routing_id
            part = self.socket.recv(DONTWAIT, copy=False)
        fault, key = None, None
        if part.more:
            while part.more:
                part = self.socket.recv(DONTWAIT, copy=False)
            self.counts.multipart += 1
            fault = _MULTIPART
        elif self._keys:
            user_id = str(part.get("User-Id"))
            key = self._keys.find(user_id)
            fault = self._key_fault(key, routing_id)
            if not fault and self._owners.get(peer) != user_id:
                _remember(self._owners, peer, user_id)
        if not fault and peer in self._dropped:
            fault = _UNREAD
        self._dropped.pop(peer, None)
        if fault:
            self._put(peer, frames.encode(fault))
            return None
        return Frame(peer, key.name if key else "", part.bytes, key)

    def _key_fault(self, key: Key | None, routing_id: bytes) -> Refuse | None:
        if key is None:
            self.counts.revoked += 1
            return _REVOKED
        if not routing_id.startswith(b"\0"):
            # Whoever names itself can take the name, and so the messages, of another.
            self.counts.named += 1
            return _NAMED
        return None


class Publisher:
    """A bound PUB: lossy by contract, waits for nobody. One thread."""

    def __init__(self, address: str, *, name: str = "live", context: Context, keys: Keys | None = None) -> None:
        """Raises CannotBind."""
        self._socket = _bound(zmq.PUB, address, name, context, keys)
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def send(self, topic: bytes, data: bytes) -> None:
        """Publish under a topic, as two parts; never waits."""
        self._socket.send(topic, DONTWAIT | SNDMORE)
        self._socket.send(data, DONTWAIT)

    def close(self) -> None:
        """Close the socket; what is queued is dropped."""
        self._socket.close()


def wait(routers: Sequence[Router], timeout_ms: int) -> bool:
    """Whether something has arrived at one of them, after at most `timeout_ms` (-1: however long it takes)."""
    return bool(zmq.zmq_poll([(router.socket, zmq.POLLIN) for router in routers], timeout_ms))


def dealer(context: Context, secret: Path | None) -> Socket:
    """A DEALER, not yet connected, that queues nothing while it has no connection.

    It leaves its routing id to the daemon. Raises ValueError or OSError when `secret` is no key file.
    """
    socket: Socket = context.socket(zmq.DEALER)
    _common(socket)
    socket.immediate = True
    socket.reconnect_ivl = RECONNECT_MS
    socket.reconnect_ivl_max = RECONNECT_MAX_MS
    if secret is not None:
        pair = load_secret(secret)
        socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = pair
    return socket


def _bound(kind: int, address: str, name: str, context: Context, keys: Keys | None) -> Socket:
    socket: Socket = context.socket(kind)
    _common(socket)
    if kind == zmq.ROUTER:
        socket.router_mandatory = True  # without it a full queue swallows messages unseen
        # Without handover a device that names itself, dies and returns can stay unheard for ever; with
        # it whoever claims a name gets its messages. Where keys are in use nobody may name itself.
        socket.router_handover = keys is None
    if keys:
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey, _ = keys.server
        socket.setsockopt(zmq.ZAP_DOMAIN, name.encode())
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without it nobody is asked when the handler is gone
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close()
        raise CannotBind(
            error.errno,
            f"the {name} address {address} cannot be bound ({error.strerror}); is another `sorter run` using it?",
        ) from error
    return socket


def _remember(peers: dict[bytes, str], peer: bytes, what: str) -> None:
    if len(peers) >= _PEERS_MAX:
        del peers[next(iter(peers))]
    peers[peer] = what


def _common(socket: Socket) -> None:
    socket.linger = 0
    socket.maxmsgsize = limits.FRAME_BYTES_MAX + _CURVE_BYTES
    socket.sndhwm = SEND_FRAMES_MAX
    socket.rcvhwm = RECEIVE_FRAMES_MAX
    socket.handshake_ivl = HANDSHAKE_MS
    socket.heartbeat_ivl = HEARTBEAT_MS
    socket.heartbeat_timeout = HEARTBEAT_TIMEOUT_MS
