"""Servers that are stopped (SIGSTOP): the kernel takes connections and bytes in, and nobody answers."""

import json
import subprocess
import sys
import time

import pytest

from dataplat.errors import StoreTimeout
from dataplat.lake.stores import RetryingStore, _patience
from dataplat.lake.stores._gcs import GcsWire
from dataplat.lake.stores._patience import patience
from dataplat.lake.stores._remote import RemoteStore
from dataplat.lake.stores._s3 import S3Wire
from servers import fake_gcs, versitygw

KINDS = {"s3": (versitygw, S3Wire), "gcs": (fake_gcs, GcsWire)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_server_is_a_clear_error_within_the_budget(kind, tmp_path, monkeypatch):
    """Each call ends with an error that says what got no answer, also where a body is half sent; later all is well."""
    run, wire = KINDS[kind]
    monkeypatch.setattr(_patience, "SLOWEST", 1 << 30)
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


@pytest.mark.parametrize(
    ("sent", "span", "seconds"),
    [
        (0, None, 30.0),
        (_patience.SLOWEST, None, 31.0),
        (0, f"bytes=5-{4 + 2 * _patience.SLOWEST}", 32.0),
        (0, f"bytes=0-{_patience.SLOWEST - 1}".encode(), 31.0),
    ],
)
def test_more_bytes_may_take_longer(sent, span, seconds):
    """To the time-out comes what the bytes take on the slowest line that is worth waiting for."""
    assert patience(30.0, sent, span) == seconds


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
