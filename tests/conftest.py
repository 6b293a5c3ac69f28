"""A lake in memory, what it reads of its parts, and a cache that is not the user's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings

from dataplat._lake import Lake
from dataplat.lake import _part_open
from dataplat.lake.stores import MemoryStore
from dataplat.versioning.lakefile import create_lake
from servers.fixtures import (
    FORGIVEN,
    asked_again,
    browser,
    gcs_server,
    hdfs_server,
    kafka_server,
    label_studio,
    mortal_kafka,
    mortal_redis,
    moto_server,
    one_worker,
    own_kafka,
    own_redis,
    proxy_to,
    redis_nodes,
    registry,
    s3_server,
    shared_redis,
    spark,
    spark_cluster,
    spark_connect,
)

__all__ = [  # fixtures of tests/services
    "browser",
    "gcs_server",
    "hdfs_server",
    "kafka_server",
    "label_studio",
    "mortal_kafka",
    "mortal_redis",
    "moto_server",
    "own_kafka",
    "own_redis",
    "proxy_to",
    "redis_nodes",
    "registry",
    "s3_server",
    "shared_redis",
    "spark",
    "spark_cluster",
    "spark_connect",
]

# How long an example takes says how busy the machine is, and nothing else.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Send the tests of one slow server to one worker; ask tests of servers that fail once more."""
    one_worker(items)
    asked_again(items)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where more tests than may had to be asked again."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and len(reporter.stats.get("rerun", ())) > FORGIVEN:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was seen of each test that was asked again: it may be a defect all the same."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"asked again: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remember verified files in a folder of the tests' own; gcsfs asks no second service, which would hang for minutes.

    That is set here, before any test: one that sets it for itself would take it from those that come after.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def new_lake() -> Callable[[], Lake]:
    """Return a function that makes a lake in memory."""

    def make() -> Lake:
        store = MemoryStore()
        create_lake(store)
        return Lake(store, "test", "memory")

    return make


@pytest.fixture
def memory_lake(new_lake: Callable[[], Lake]) -> Lake:
    """Return a lake in memory."""
    return new_lake()


@dataclass
class Reads:
    """The row groups that were decoded: (part id, row group) and the columns asked for."""

    calls: list[tuple[str, int, tuple[str, ...]]] = field(default_factory=list)

    @property
    def parts(self) -> set[str]:
        """Ids of the parts of which rows were read."""
        return {part for part, _, _ in self.calls}

    @property
    def columns(self) -> Counter[str]:
        """How often each column was read."""
        return Counter(name for _, _, columns in self.calls for name in columns)

    def clear(self) -> None:
        """Begin again."""
        self.calls.clear()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Note every read of a row group of a part: they all go through one method."""
    seen = Reads()
    read = _part_open.OpenPart.read

    def noting(self: _part_open.OpenPart, row_group: int, columns: list[str], *more: object) -> object:
        seen.calls.append((self.part.id, row_group, tuple(columns)))
        return read(self, row_group, columns, *more)

    monkeypatch.setattr(_part_open.OpenPart, "read", noting)
    return seen
