"""What two processes of ours say to each other: any values, with large buffers beside them that are copied once."""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket


class Wire:
    """One end of a connection to a process that this one has started, or was started by: what comes is trusted."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, what: Any) -> None:
        """Send something; raise `OSError` where nobody listens any more."""
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(what, protocol=5, buffer_callback=buffers.append)
        parts: list[bytes | memoryview] = [head, *(buffer.raw() for buffer in buffers)]
        sizes = [len(part) for part in parts]
        self._end.sendall(struct.pack(f">I{len(sizes)}Q", len(sizes), *sizes))
        for part in parts:
            self._end.sendall(part)

    def receive(self) -> Any:
        """Return what comes next, its buffers as bytearrays; raise `EOFError` or `OSError` where nothing will."""
        (count,) = struct.unpack(">I", self._read(4))
        head, *buffers = [self._read(size) for size in struct.unpack(f">{count}Q", self._read(8 * count))]
        return pickle.loads(head, buffers=buffers)  # noqa: S301 (of a process of ours)

    def close(self) -> None:
        """Let the other end know that nothing more comes."""
        self._end.close()

    def _read(self, size: int) -> bytearray:
        found = bytearray(size)
        left = memoryview(found)
        while left:
            read = self._end.recv_into(left)
            if not read:
                raise EOFError
            left = left[read:]
        return found
