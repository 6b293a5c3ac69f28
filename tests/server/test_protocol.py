"""One connection of a server: when it is closed for being idle, whichever way its requests are answered."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvicorn
from uvicorn.server import ServerState

from dataplat.server._access import AccessLog
from dataplat.server._counts import Counts
from dataplat.server._keyring import Keyring
from dataplat.server._lookup import LookupRoute
from dataplat.server._protocol import protocol_of
from dataplat.server._services import Services
from dataplat.server._settings import Settings

KEEP = 0.4
REQUEST = b"POST /features/lookup HTTP/1.1\r\nhost: x\r\ncontent-length: 15\r\n\r\n" + b'{"service":"m"}'


async def app(scope, receive, send):
    """Answer a little later."""
    await receive()
    await asyncio.sleep(2 * KEEP if scope["query_string"] == b"slow" else 0)
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def spoken(*, at_once, says):
    """Have a connection to a server of this process; return how long it was open after the last answer, and the answers."""
    settings = Settings(access_log="", keep_alive=KEEP, patience=5.0)
    route = LookupRoute(Services(None), settings, Keyring({}), Counts(), AccessLog(""))
    config = uvicorn.Config(
        app, http=protocol_of(settings, route if at_once else None), ws="none", lifespan="off", log_config=None,
        timeout_keep_alive=KEEP,
    )  # fmt: skip
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: config.http_protocol_class(config, state, {}, loop), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        answers = await says(reader, writer)
        began = time.monotonic()
        answers += await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
        route.close()
        return time.monotonic() - began, answers


@pytest.mark.parametrize("at_once", [True, False])
def test_an_idle_connection_is_closed(at_once):
    """One that asked now and then stays open as long as it asks, and is closed when it has been quiet for as long as it may."""

    async def says(reader, writer):
        answers = b""
        for _ in range(4):
            writer.write(REQUEST)
            answers += await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(KEEP * 0.6)
        writer.write(REQUEST)
        return answers + await reader.readuntil(b"\r\n\r\n")

    seconds, answers = asyncio.run(spoken(at_once=at_once, says=says))
    assert answers.count(b"HTTP/1.1 404") == 5
    assert KEEP * 0.8 < seconds < KEEP + 2


def test_one_that_never_asks_is_closed():
    """Nor does it get an answer."""

    async def says(*_):
        return b""

    seconds, answers = asyncio.run(spoken(at_once=True, says=says))
    assert answers == b""
    assert KEEP * 0.8 < seconds < KEEP + 2


@pytest.mark.parametrize("at_once", [True, False])
def test_one_that_is_at_work_is_not_closed(at_once):
    """A request whose rest comes late, and one that is answered late, are not idle."""

    async def says(reader, writer):
        writer.write(REQUEST[:-5])
        await asyncio.sleep(2 * KEEP)
        writer.write(REQUEST[-5:])
        first = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"GET /x?slow HTTP/1.1\r\nhost: x\r\n\r\n")
        return first + await reader.readuntil(b"\r\n\r\n")

    seconds, answers = asyncio.run(spoken(at_once=at_once, says=says))
    assert answers.count(b"HTTP/1.1 404") == 2
    assert KEEP * 0.8 < seconds < KEEP + 2
