"""GcsWire: the conformance suite on a real server, races of processes, and what happens when the wire breaks."""

import pytest

from dataplat.lake.stores._gcs import GcsWire
from dataplat.lake.stores._remote import RemoteStore
from dataplat.testing import store_suite


@pytest.fixture
def store(gcs_server):
    """An empty store under a prefix of a bucket of its own."""
    return RemoteStore(GcsWire(gcs_server.new_bucket(), "some/lake", {"endpoint_url": gcs_server.url}))


class TestGcs(store_suite.StoreConformance, store_suite.UrlConformance):
    """The suite."""
