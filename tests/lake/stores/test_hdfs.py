"""HdfsWire: the conformance suite on a real NameNode, races of processes, and what happens when the wire breaks."""

import pytest

from dataplat.lake.stores._hdfs import HdfsWire
from dataplat.lake.stores._remote import RemoteStore
from dataplat.testing import store_suite


@pytest.fixture
def wire(hdfs_server):
    """Where the server is, and a folder that is not there yet."""
    return HdfsWire(f"{hdfs_server.host}:{hdfs_server.port}", hdfs_server.new_folder()[1:] + "/lake", {})


@pytest.fixture
def store(wire):
    """An empty store in a folder that is not there yet."""
    return RemoteStore(wire)


class TestHdfs(store_suite.StoreConformance, store_suite.UrlConformance):
    """The suite."""
