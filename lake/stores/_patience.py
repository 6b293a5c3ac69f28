"""How long a body may take on its way to a server: as long as it moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

SLICE = 256 << 10
"""Bytes between two looks at the clock: a line that takes fewer within the time-out is as good as cut."""


@asynccontextmanager
async def moving(seconds: float) -> AsyncIterator[asyncio.Timeout]:
    """Give what ends the requests made inside, by `TimeoutError`, once nothing of their `sliced` body is taken for so long.

    aiohttp waits for an answer only when the body is sent, and a server that is stopped takes in what the system's
    buffers hold and no more. How long the whole takes is nobody's business: a slow line is no broken one.
    """
    watch = asyncio.timeout(seconds)
    try:
        async with watch:
            yield watch
    except TimeoutError as error:
        if not watch.expired():
            raise
        raise TimeoutError(f"nothing was taken of what is sent for {seconds:g} s") from error


async def sliced(
    pieces: Sequence[bytes | memoryview], watch: asyncio.Timeout, seconds: float
) -> AsyncIterator[memoryview]:
    """Yield the bytes without a copy, in slices that leave the loop to others; `watch` waits for each to be taken."""
    clock = asyncio.get_running_loop().time
    for piece in pieces:
        view = memoryview(piece)
        for at in range(0, len(view), SLICE):
            _wait_until(watch, clock() + seconds)
            yield view[at : at + SLICE]
    _wait_until(watch, None)  # from here on the client waits for the answer by itself


def _wait_until(watch: asyncio.Timeout, when: float | None) -> None:
    with suppress(RuntimeError):  # the answer came before all was sent, and nobody watches any more
        watch.reschedule(when)


__all__ = ["SLICE", "moving", "sliced"]
