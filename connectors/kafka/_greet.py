"""Greet a broker as a client does – connect, TLS, login, one question – before a library is started.

The libraries try again and again whatever is wrong, and say it late, vaguely or never (a wrong password, a port that
speaks TLS, an authority that is not trusted). Asked once by hand, a broker says it at once, and to both libraries alike.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dataplat.connectors.kafka._failures import misunderstood, unknown_to, unreachable, untrusted, wrong_credentials

if TYPE_CHECKING:
    from dataplat.connectors.kafka._location import KafkaLocation
    from dataplat.connectors.kafka._settings import Settings

_METADATA: Final = 3
_HANDSHAKE: Final = 17
_VERSIONS: Final = 18
_AUTHENTICATE: Final = 36
_UNSUPPORTED_MECHANISM: Final = 33
_ILLEGAL_STATE: Final = 34
_LARGEST: Final = 16 << 20
_TRIES: Final = 3
"""How often a broker may close the connection before that is believed: one that ends or begins does so, too."""


class _ClosedError(ConnectionError):
    """The broker closed the connection where an answer was due."""


class _LoginError(Exception):
    """The broker does not take the name or password."""


class _ListenerError(Exception):
    """The listener is of another kind than the settings say."""


def greet(location: KafkaLocation, settings: Settings, timeout: float) -> None:
    """Return when one of the brokers takes us; wait up to `timeout` seconds where none is there.

    Raises:
        SourceUnreachable: No broker answers in time, or each closes the connection.
        SourceError: It refuses the login, its certificate is not trusted, or it speaks otherwise than the settings say.
        ConfigError: A certificate or password cannot be read.
    """
    context = settings.tls() if settings.has_tls else None
    login = _Login.of(settings) if settings.has_sasl else None
    until = time.monotonic() + timeout
    closed = 0
    last: Exception
    while True:
        for server in location.servers:
            try:
                with _connected(server, context, until) as wire:
                    _introduce(wire, login)
                return
            except ssl.SSLCertVerificationError as error:
                raise untrusted(location, server, error.verify_message) from error
            except ssl.SSLError as error:
                if "CERTIFICATE" in (error.reason or ""):
                    raise unknown_to(location, server, _reason(error)) from error
                last, closed = error, closed + 1
            except _LoginError as error:
                raise wrong_credentials(location, str(error)) from None
            except _ListenerError as error:
                raise misunderstood(location, server, settings.security, str(error)) from None
            except _ClosedError as error:
                last, closed = error, closed + 1
            except OSError as error:
                last = error
        if closed >= _TRIES * len(location.servers):
            raise misunderstood(location, location.servers[0], settings.security, _reason(last)) from last
        if time.monotonic() >= until:
            raise unreachable(location, "connect", timeout, last) from last
        time.sleep(min(0.2, timeout / 10))


def _reason(error: Exception) -> str:
    return (getattr(error, "reason", None) or str(error)).lower().replace("_", " ")


@contextmanager
def _connected(server: str, context: ssl.SSLContext | None, until: float) -> Iterator[_Wire]:
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    with closing(socket.create_connection((host, int(port)), _left(until))) as plain:
        if context is None:
            yield _Wire(plain, until)
            return
        try:
            secured = context.wrap_socket(plain, server_hostname=host)
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise _ClosedError("it closes the connection when TLS begins") from error
        with closing(secured):
            yield _Wire(secured, until)


def _left(until: float) -> float:
    return max(0.1, until - time.monotonic())


@dataclass(slots=True)
class _Wire:
    """A connection, and the time by which all is to be said."""

    socket: socket.socket
    until: float
    asked: int = 0

    def ask(self, api: int, version: int, body: bytes) -> bytes:
        """Return the body of the answer."""
        self.asked += 1
        head = struct.pack(">hhih", api, version, self.asked, 8) + b"dataplat"
        self.socket.settimeout(_left(self.until))
        try:
            self.socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
            (size,) = struct.unpack(">i", self._read(4))
            if not 4 <= size <= _LARGEST:
                raise _ListenerError("what it answers is not Kafka's protocol, as from a port that speaks TLS")
            answer = self._read(size)
        except TimeoutError as error:
            raise TimeoutError("it takes the connection, and answers nothing") from error
        except ssl.SSLError:
            raise
        except ConnectionError as error:
            raise _ClosedError("it closes the connection when it is asked") from error
        return answer[4:]

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            self.socket.settimeout(_left(self.until))
            more = self.socket.recv(size - len(found))
            if not more:
                raise _ClosedError("it closes the connection when it is asked")
            found += more
        return found


def _introduce(wire: _Wire, login: _Login | None) -> None:
    """Ask what a client asks first; without a login also for the brokers, which a listener with logins refuses."""
    wire.ask(_VERSIONS, 0, b"")
    if login is None:
        wire.ask(_METADATA, 4, struct.pack(">ib", 0, 0))
        return
    answer = wire.ask(_HANDSHAKE, 1, _text(login.mechanism))
    (code,) = struct.unpack(">h", answer[:2])
    if code == _UNSUPPORTED_MECHANISM:
        raise _ListenerError(f"it does not take {login.mechanism}, but {', '.join(_texts(answer[2:]))}")
    if code == _ILLEGAL_STATE:
        raise _ListenerError("it takes no login at this port")
    if code:
        raise _ListenerError(f"it answers a login with error {code}")
    if login.mechanism == "PLAIN":
        login.exchange(wire, f"\0{login.username}\0{login.password}".encode())
    else:
        _scram(wire, login)


@dataclass(frozen=True, slots=True)
class _Login:
    """A name and password, and how they are shown."""

    mechanism: str
    username: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> _Login:
        assert settings.username is not None
        assert settings.password is not None
        return cls(settings.mechanism, settings.username, settings.password.reveal())

    def exchange(self, wire: _Wire, token: bytes) -> bytes:
        """Send a token, and return the broker's."""
        answer = wire.ask(_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
        code, length = struct.unpack(">hh", answer[:4])
        why = answer[4 : 4 + max(length, 0)].decode("utf-8", "replace")
        if code:
            raise _LoginError(why or f"error {code}")
        return answer[4 + max(length, 0) + 4 :]


def _scram(wire: _Wire, login: _Login) -> None:
    """Log in without showing the password: RFC 5802, with SHA-256 or SHA-512 (RFC 7677)."""
    digest = "sha256" if login.mechanism.endswith("256") else "sha512"
    name = login.username.replace("=", "=3D").replace(",", "=2C")
    first = f"n={name},r={secrets.token_hex(16)}"
    answer = login.exchange(wire, f"n,,{first}".encode()).decode()
    said = dict(part.split("=", 1) for part in answer.split(","))
    salted = hashlib.pbkdf2_hmac(digest, login.password.encode(), base64.b64decode(said["s"]), int(said["i"]))
    last = f"c=biws,r={said['r']}"
    words = f"{first},{answer},{last}".encode()
    key = hmac.digest(salted, b"Client Key", digest)
    signature = hmac.digest(hashlib.new(digest, key).digest(), words, digest)
    proof = bytes(ours ^ theirs for ours, theirs in zip(key, signature, strict=True))
    end = login.exchange(wire, f"{last},p={base64.b64encode(proof).decode()}".encode()).decode()
    expected = hmac.digest(hmac.digest(salted, b"Server Key", digest), words, digest)
    if not hmac.compare_digest(end.removeprefix("v="), base64.b64encode(expected).decode()):
        raise _LoginError("it cannot show that it knows the password, so it is not who it says it is")


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _texts(data: bytes) -> list[str]:
    (count,), at, found = struct.unpack(">i", data[:4]), 4, []
    for _ in range(count):
        (length,) = struct.unpack(">h", data[at : at + 2])
        found.append(data[at + 2 : at + 2 + length].decode())
        at += 2 + length
    return found
