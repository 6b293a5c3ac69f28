"""A load of HTTP requests, as little as can make one: connections that stay, each asking again once it is answered.

It makes requests' bytes beforehand and reads no more of an answer than it must, so that it takes less than the server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Load:
    """What a load saw.

    Attributes:
        answered: how many answers of status 200.
        other: how many of another status, by status.
        lost: requests whose connection ended before they were answered.
        lost_at: when, by `time.perf_counter`.
        refused: connections that could not be made.
        seconds: how long it went on.
        latencies: of each answer, in seconds.
    """

    answered: int = 0
    other: dict[int, int] = field(default_factory=dict)
    lost: int = 0
    lost_at: list[float] = field(default_factory=list)
    refused: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def quantile(self, q: float) -> float:
        """Return a quantile of the latencies."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")


Check = Callable[[int, bytes, float], None]
"""Is told which request was answered (its place), the body of its answer, and when it was asked."""


def request(path: str, body: bytes, headers: dict[str, str] | None = None, *, host: str = "127.0.0.1") -> bytes:
    """Return a request's bytes."""
    told = {"host": host, "content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def load(
    host: str,
    port: int,
    requests: Sequence[bytes],
    connections: int,
    *,
    most: int | None = None,
    seconds: float | None = None,
    check: Check | None = None,
    renew: int = 0,
) -> Load:
    """Ask until there were `most` answers, or for some seconds.

    Args:
        host: where.
        port: where.
        requests: are asked in turn, by all connections together.
        connections: how many.
        most: answers after which it ends.
        seconds: after which it ends.
        check: is told of every answer of status 200.
        renew: answers after which a connection is made anew, so that all workers get some; 0: never.
    """
    seen = Load()
    asyncio.run(_load(seen, (host, port), requests, connections, most, seconds, check, renew))
    return seen


async def _load(
    seen: Load,
    place: tuple[str, int],
    requests: Sequence[bytes],
    connections: int,
    most: int | None,
    seconds: float | None,
    check: Check | None,
    renew: int,
) -> None:
    loop = asyncio.get_running_loop()
    end = loop.create_future()
    turn = _Turn(seen, requests, most, check, end, renew)
    began = time.perf_counter()
    tasks = [loop.create_task(_connected(turn, place)) for _ in range(connections)]
    if seconds is not None:
        loop.call_later(seconds, lambda: end.done() or end.set_result(None))
    await end
    turn.over = True
    seen.seconds = time.perf_counter() - began
    await asyncio.wait(tasks, timeout=5)
    for task in tasks:
        task.cancel()


async def _connected(turn: _Turn, place: tuple[str, int]) -> None:
    """Keep one connection, and make it anew when it ends."""
    loop = asyncio.get_running_loop()
    while not turn.over:
        ended = loop.create_future()
        try:
            transport, _ = await loop.create_connection(lambda ended=ended: _Asking(turn, ended), *place)
        except OSError:
            turn.seen.refused += 1
            await asyncio.sleep(0.02)
            continue
        await ended
        transport.close()


@dataclass
class _Turn:
    """Whose turn it is, and what was seen."""

    seen: Load
    requests: Sequence[bytes]
    most: int | None
    check: Check | None
    end: asyncio.Future[None]
    renew: int
    at: int = 0
    over: bool = False


class _Asking(asyncio.Protocol):
    """One connection."""

    def __init__(self, turn: _Turn, ended: asyncio.Future[None]) -> None:
        self.turn, self.ended = turn, ended
        self.buffer = bytearray()
        self.asked = -1
        self.began = 0.0
        self.count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        turn = self.turn
        if turn.over or (turn.renew and self.count >= turn.renew):
            self.asked = -1
            self.transport.close()
            return
        self.asked = turn.at
        turn.at += 1
        self.began = time.perf_counter()
        self.transport.write(turn.requests[self.asked % len(turn.requests)])

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        at = self.buffer.find(b"\r\n\r\n")
        if at < 0:
            return
        head = bytes(self.buffer[:at]).lower()
        place = head.find(b"content-length:")
        length = int(head[place + 15 :].split(b"\r\n", 1)[0])
        if len(self.buffer) < at + 4 + length:
            return
        body = bytes(self.buffer[at + 4 : at + 4 + length])
        del self.buffer[: at + 4 + length]
        self.answered(int(head[9:12]), body)
        if b"connection: close" in head:
            self.asked = -1
            self.transport.close()
        else:
            self.ask()

    def answered(self, status: int, body: bytes) -> None:
        turn, seen = self.turn, self.turn.seen
        self.count += 1
        if status == 200:
            seen.answered += 1
            seen.latencies.append(time.perf_counter() - self.began)
            if turn.check is not None:
                turn.check(self.asked % len(turn.requests), body, self.began)
        else:
            seen.other[status] = seen.other.get(status, 0) + 1
        if turn.most is not None and self.all() >= turn.most and not turn.end.done():
            turn.end.set_result(None)

    def all(self) -> int:
        return self.turn.seen.answered + sum(self.turn.seen.other.values())

    def connection_lost(self, error: Exception | None) -> None:
        if self.asked >= 0 and not self.turn.over:
            self.turn.seen.lost += 1
            self.turn.seen.lost_at.append(time.perf_counter())
        if not self.ended.done():
            self.ended.set_result(None)
