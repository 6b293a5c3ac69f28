"""Servers that are stopped (SIGSTOP): the kernel takes connections and bytes in, and nobody answers."""

import asyncio
import json
import os
import subprocess
import sys
import time

import pytest

from dataplat.errors import StoreTimeout
from dataplat.lake.stores import RetryingStore
from dataplat.lake.stores._gcs import GcsWire
from dataplat.lake.stores._patience import SLICE, moving, sliced
from dataplat.lake.stores._remote import RemoteStore
from dataplat.lake.stores._s3 import S3Wire
from servers import fake_gcs, versitygw

KINDS = {"s3": (versitygw, S3Wire), "gcs": (fake_gcs, GcsWire)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_server_is_a_clear_error_within_the_budget(kind, tmp_path, monkeypatch):
    """Each call ends with an error that says what got no answer, also where a body is half sent; later all is well."""
    run, wire = KINDS[kind]
    with run(tmp_path) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        bucket = server.new_bucket()
        far = RemoteStore(wire(bucket, "some/lake", {"endpoint_url": server.url, "timeout": 0.5}))
        store = RetryingStore(far, budget=2)
        store.create("before", b"1")
        calls = [
            lambda: store.create("small", b"1"),
            lambda: store.create("large", bytes(48 << 20)),
            lambda: store.read("before"),
            lambda: list(store.list("")),
            lambda: store.delete("before"),
        ]
        server.pause()
        try:
            for call in calls:
                began = time.monotonic()
                with pytest.raises(StoreTimeout, match="no answer to"):
                    call()
                assert time.monotonic() - began < 60  # not for ever
        finally:
            server.resume()
        store.create("after", b"2")
        assert store.read("after") == b"2"


def sent(body, seconds, between):
    """Send a body to somebody who waits before each slice; return what they took."""

    async def send():
        took = []
        async with moving(seconds) as watch:
            async for piece in sliced([body], watch, seconds):
                took.append(bytes(piece))
                await between(len(took))
        return b"".join(took)

    return asyncio.run(send())


def test_a_slow_line_is_no_broken_one():
    """A body of which something is taken now and then may take longer in all than the time-out."""
    body = os.urandom(60 * SLICE + 7)
    assert sent(body, 1.0, lambda _: asyncio.sleep(0.02)) == body


def test_a_body_that_stands_still_is_given_up():
    """Where nothing more is taken it is over, however much has been before, and however large it is."""
    with pytest.raises(TimeoutError, match=r"nothing was taken .* 0\.05 s"):
        sent(bytes(1 << 30), 0.05, lambda slices: asyncio.sleep(0 if slices < 4 else 3600))


def test_a_body_is_sent_to_its_end_when_the_answer_came_before():
    """Who was answered early does not watch any more, and what is still sent is whole: the connection may be used again."""

    async def send():
        async with moving(5) as watch:
            pieces = sliced([bytes(SLICE), b"end"], watch, 5)
            first = await anext(pieces)
        return [len(first), *[bytes(piece) async for piece in pieces]]

    assert asyncio.run(send()) == [SLICE, b"end"]


def test_a_client_is_imported_before_the_first_call():
    """To import a client takes seconds on a busy machine, and they are not the server's: wires come with theirs."""
    script = """
import json, sys
from dataplat.lake.stores._gcs import GcsWire
from dataplat.lake.stores._s3 import S3Wire
before = [name in sys.modules for name in ("s3fs", "gcsfs")]
S3Wire("bucket", "", {})
GcsWire("bucket", "", {})
print(json.dumps([before, [name in sys.modules for name in ("s3fs", "gcsfs")]]))
"""
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert json.loads(told.stdout) == [[False, False], [True, True]]
