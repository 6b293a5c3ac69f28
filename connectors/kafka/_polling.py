"""The process that polls for another one: `python -m dataplat.connectors.kafka._polling`, with a connection as its input.

kafka-python takes records apart in Python, which takes longer than all that is done with them then. Here it has a core
of its own. The process holds nothing that is not elsewhere, too, so it may be killed at any time; it ends by itself when
the other one has, however that ended.
"""

from __future__ import annotations

import gc
import os
import queue
import socket
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dataplat.connectors.kafka._wire import Wire
from dataplat.errors import DataplatError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataplat.connectors.kafka._columns import Columns
    from dataplat.connectors.kafka._kafka_python import KafkaPythonClient
    from dataplat.connectors.kafka._location import KafkaLocation
    from dataplat.connectors.kafka._settings import Settings


class _Polling:
    """Does what is asked for by name, one after the other."""

    def __init__(self) -> None:
        self._client: KafkaPythonClient

    def open(self, location: KafkaLocation, settings: Settings, given: Mapping[str, Any]) -> None:
        from dataplat.connectors.kafka._kafka_python import KafkaPythonClient
        from dataplat.connectors.kafka._open import for_kafka_python

        self._client = KafkaPythonClient(location, for_kafka_python(settings), **given)
        gc.collect()
        gc.freeze()

    def poll(self, seconds: float, max_records: int) -> tuple[list[Columns], Mapping[int, int]]:
        return self._client.columns(seconds, max_records), self._client.positions()

    def answer(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Return what is asked for, or the error that it ran into."""
        try:
            return getattr(self if hasattr(self, name) else self._client, name)(*arguments)
        except DataplatError as error:
            return error
        except Exception as error:  # noqa: BLE001 (raised in the other process)
            return RuntimeError("".join(traceback.format_exception(error)))


def main() -> None:
    """Answer what the other process asks for until it ends."""
    wire = Wire(socket.socket(fileno=0))
    asked: queue.SimpleQueue[tuple[str, tuple[Any, ...]]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(wire, asked), daemon=True).start()
    gc.disable()  # records come by the ten thousand and none refers to another: a fifth of the time would go here
    polling = _Polling()
    with suppress(OSError):  # nobody listens any more
        while True:
            wire.send(polling.answer(*asked.get()))
            gc.collect()


def _listen(wire: Wire, asked: queue.SimpleQueue[tuple[str, tuple[Any, ...]]]) -> None:
    """Take what is asked for; where nobody will ask any more, end at once, whatever is waited for."""
    try:
        while True:
            asked.put(wire.receive())
    except (EOFError, OSError):
        os._exit(0)


if __name__ == "__main__":
    main()
