"""A server that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers.features import Running, running, until


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a server of two workers with small bounds, which tests leave as it is."""
    bounds = {"max_body": 60_000, "max_entities": 250, "patience": 1.0, "connections": 64}
    with running(tmp_path_factory.mktemp("server"), workers=2, **bounds) as found:
        until(found.ready)
        yield found
