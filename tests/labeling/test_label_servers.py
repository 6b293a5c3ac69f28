"""The fake and a real Label Studio are the same to whoever speaks to them through our client."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from dataplat.labeling.label_studio.client import LabelStudioServer
from dataplat.labeling.server import LabelServer
from dataplat.testing import label_server_suite as suite
from dataplat.testing.label_server import FakeLabelStudio
from servers.label_studio import LabelStudio


class TestReal(suite.ServerConformance):
    @pytest.fixture
    def connect(self, label_studio: LabelStudio) -> Iterator[Callable[[str], LabelServer]]:
        """Return a function that makes a client with a token."""
        made: list[LabelStudioServer] = []

        def make(token: str) -> LabelServer:
            made.append(label_studio.client(token))
            return made[-1]

        yield make
        for each in made:
            each.close()

    @pytest.fixture
    def server(self, label_studio: LabelStudio, connect: Callable[[str], LabelServer]) -> LabelServer:
        """Return a client of the real one."""
        return connect(label_studio.token)

    @pytest.fixture
    def people(self, label_studio: LabelStudio) -> Iterator[suite.People]:
        """Return those who answer."""
        people = suite.People(label_studio.url, label_studio.token)
        yield people
        people.close()


class TestFake(suite.ServerConformance):
    @pytest.fixture
    def site(self) -> Iterator[FakeLabelStudio]:
        """Return a fake of this test's own."""
        with FakeLabelStudio() as site:
            yield site

    @pytest.fixture
    def connect(self, site: FakeLabelStudio) -> Iterator[Callable[[str], LabelServer]]:
        """Return a function that makes a client with a token."""
        made: list[LabelStudioServer] = []

        def make(token: str) -> LabelServer:
            made.append(LabelStudioServer(site.url, token, budget=5.0))
            return made[-1]

        yield make
        for each in made:
            each.close()

    @pytest.fixture
    def server(self, site: FakeLabelStudio, connect: Callable[[str], LabelServer]) -> LabelServer:
        """Return a client of the fake."""
        return connect(site.token)

    @pytest.fixture
    def people(self, site: FakeLabelStudio) -> Iterator[suite.People]:
        """Return those who answer."""
        people = suite.People(site.url, site.token)
        yield people
        people.close()
