"""A worker: opens the lake and the online store, and answers what comes to the socket that it was handed.

python -m dataplat.server._worker '{"socket": 3, "counts": 4, "alive": 5, "saying": 6, "row": 0, …}'
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import uvicorn

from dataplat.errors import DataplatError
from dataplat.server._counts import AT_WORK, CONNECTIONS, READY, Counts
from dataplat.server._opening import opened
from dataplat.server._protocol import protocol_of
from dataplat.server._settings import Settings

if TYPE_CHECKING:
    from dataplat.server._app import Front, Log
    from dataplat.server._services import Services

Opened: TypeAlias = "Callable[[Mapping[str, Any], Counts], tuple[Services, Settings, Log | None]]"

TICK: Final = 0.5
_LOG: Final = logging.getLogger("dataplat.serve")


def main(told: Mapping[str, Any], opened: Opened = opened) -> int:
    """Serve until told to end; return an exit code.

    Args:
        told: what the supervisor hands over.
        opened: opens what is served.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    from dataplat.server._app import Front

    counts = Counts(told["counts"], told["row"])
    try:
        services, settings, log = opened(told, counts)
        front = Front.of(services, settings, counts, log)
    except DataplatError as error:  # the supervisor says it
        os.write(told["saying"], json.dumps({"error": type(error).__name__, "message": str(error)}).encode())
        return 1
    _more_files()
    gc.collect()
    gc.freeze()  # what is loaded now stays, and is not looked through again
    gc.set_threshold(50_000, 20, 100)
    Worker(front, settings, counts, told).run(sockets=[socket.socket(fileno=told["socket"])])
    return 0


class Worker(uvicorn.Server):
    """uvicorn, with beats for the supervisor, and an end that finishes what was begun."""

    def __init__(self, front: Front, settings: Settings, counts: Counts, told: Mapping[str, Any]) -> None:
        super().__init__(_config(front, settings))
        self._front, self._counts, self._told = front, counts, told
        front.at_work(self.server_state.tasks.__len__)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, and say so."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._told["alive"], self._orphaned)
        self._ticking = loop.create_task(self._tick())
        self._counts.beat()
        self._counts.set(READY, 1)
        os.write(self._told["saying"], b"ready\n")

    async def _tick(self) -> None:
        while True:
            self._counts.beat()
            self._counts.set(CONNECTIONS, len(self.server_state.connections))
            self._counts.set(AT_WORK, len(self.server_state.tasks))
            self._front.tick()
            await asyncio.sleep(TICK)

    def _orphaned(self) -> None:
        """End when the supervisor is no more: nobody would start another, or end this one."""
        asyncio.get_running_loop().remove_reader(self._told["alive"])
        _LOG.warning("the supervisor is gone: this worker ends, too")
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order; asked again, at once."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        self._front.ending = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was begun, then end."""
        self._counts.set(READY, 0)
        self._front.ending = True
        await super().shutdown(sockets)
        self._ticking.cancel()
        self._counts.set(CONNECTIONS, 0)
        self._counts.set(AT_WORK, 0)
        self._front.close()


def _config(front: Front, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        front.app,
        http=protocol_of(settings, front.at_once),
        ws="none",
        lifespan="off",
        interface="asgi3",
        loop="auto",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_seconds(settings.keep_alive),
        timeout_graceful_shutdown=_seconds(settings.grace),
    )


def _seconds(given: float) -> Any:
    """Return seconds; uvicorn says that they are whole, and takes any."""
    return given


def _more_files() -> None:
    """Let this process hold as many connections as it may."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ValueError, OSError):
        return  # macOS says more than it gives


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
