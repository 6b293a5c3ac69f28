"""The lake's data source, in a process that dies at a named moment of a batch: before its commit, or after it.

Spark commits in a process of its own, which finds here what its driver was told: the process group that dies with it
(Python and Java), the moment and the batch. Everything else is as it is.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from dataplat._spark._source import DataplatSource
from dataplat._spark._stream_sink import StreamWriter

DIES = "DATAPLAT_TEST_STREAMER_DIES"
"""`GROUP before|after BATCH`."""


class MortalSource(DataplatSource):
    """Writes as the lake's source does, and dies."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "mortal"

    def streamWriter(self, schema: Any, overwrite: bool) -> MortalWriter:  # noqa: N802  (Spark's name)
        """Return the lake's writer, which can die."""
        made: Any = super().streamWriter(schema, overwrite)
        return MortalWriter(made.writer, made.stream, made.takeover)


class MortalWriter(StreamWriter):
    """Commits, and dies before or after it."""

    def commit(self, messages: Any, batchId: int) -> None:  # noqa: N803  (Spark's name)
        """Commit a batch, unless this is the moment."""
        group, moment, batch = os.environ[DIES].split()
        if (moment, int(batch)) == ("before", batchId):
            _die(int(group))
        super().commit(messages, batchId)
        if (moment, int(batch)) == ("after", batchId):
            _die(int(group))


def _die(group: int) -> None:
    os.killpg(group, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
