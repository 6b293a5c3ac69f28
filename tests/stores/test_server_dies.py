"""An ingest of a million rows whose server, wire or own process dies: the lake is whole, and a second try ends it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

import dataplat as dp
from dataplat.lake.stores import open_store
from dataplat.versioning.lakefile import create_lake
from servers import Proxy, versitygw
from servers.ingester import Ingester, Run
from servers.proxy import Request

ROWS = 1_000_000
EVERY = bool(os.environ.get("DATAPLAT_DEATHS"))
"""Whether every request of an ingest is tried: minutes, for `make proofs`."""
UNCLEAR = {"StoreTimeout", "CommitInDoubt"}

pytestmark = pytest.mark.slow


class Source(NamedTuple):
    """A file, and what a lake is that landed it in peace."""

    path: Path
    content_id: str


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Return a million rows, ids from 0 on."""
    path = tmp_path_factory.mktemp("source") / "million.csv"
    pacsv.write_csv(pa.table({"id": range(ROWS), "v": [n * 2654435761 % 2**32 / 8 for n in range(ROWS)]}), path)
    lake = dp.open("memory://")
    lake.ingest(path, "d")
    return Source(path, lake["d"].content_id)


class Setting:
    """A server behind a wire, an ingester that knows only the wire, and lakes."""

    def __init__(
        self, proxy: Proxy, ingester: Ingester, source: Source, new_url: Callable[[], tuple[str, str]]
    ) -> None:
        self.proxy, self.ingester, self.source = proxy, ingester, source
        self._new_url = new_url
        self.began = 0

    def lake(self) -> str:
        """Make an empty lake for the next run; return its URL past the wire."""
        self.url, self.far = self._new_url()
        create_lake(open_store(self.url))
        self.proxy.heal()
        return self.url

    def start(self, **options: object) -> Run:
        """Begin to ingest over the wire."""
        self.began = self.proxy.count()
        return self.ingester.start(self.far, self.source.path, **options)

    def at(self, number: int, act: Callable[[], bool | None]) -> None:
        """Do something when the n-th request from now on comes, before it goes on; true swallows its answer."""
        left = [number]

        def comes(_: Request) -> bool:
            left[0] -= 1
            return bool(left[0] == 0 and act())

        self.proxy.drop_response_once(comes)

    def requests(self) -> int:
        """Return how many requests an ingest takes that nothing happens to."""
        self.lake()
        assert self.start().wait() == "ok"
        return self.proxy.count() - self.began

    def is_whole(self) -> bool:
        """Hold that the lake is as before or as after; return whether the rows are there."""
        lake = dp.open(self.url, create=False)
        assert lake.verify().ok
        landed = [info.rows for info in lake.datasets()]
        assert landed in ([], [ROWS])
        return bool(landed)

    def ends(self, run: Run, where: str) -> None:
        """Hold that it says that the outcome is unknown, or, having been quicker than the cut, that the rows landed."""
        said = run.wait()
        time.sleep(0.3)  # what is cut behind the request it is for is cut
        assert said in UNCLEAR or (said == "ok" and self.is_whole()), f"{said}: {where}"
        self.is_whole()

    def finish(self) -> None:
        """Do it again over a wire that is whole; hold that each row is there once, as if nothing had happened."""
        self.proxy.heal()
        assert self.ingester.start(self.far, self.source.path).wait() == "ok"
        lake = dp.open(self.url, create=False)
        version = lake["d"]
        assert version.content_id == self.source.content_id
        assert len(version.to_arrow(columns=["id"])["id"].unique()) == version.rows == ROWS
        assert [entry.mode for entry in lake.log("d")] == ["append"]
        assert lake.verify().ok


def sample(requests: int, count: int) -> list[int]:
    """Return the requests at which something happens: all of them, or some from the first to the last."""
    if EVERY:
        return list(range(1, requests + 1))
    return sorted({1 + round(at * (requests - 1) / (count - 1)) for at in range(count)})


@pytest.fixture(scope="module")
def s3(tmp_path_factory, source):
    """A server of S3 of this module's own, since it is killed."""
    with (
        pytest.MonkeyPatch.context() as patch,
        versitygw(tmp_path_factory.mktemp("s3")) as server,
        Proxy(server.host, server.port) as proxy,
        Ingester(server.environment(proxy.url)) as ingester,
    ):
        for name, value in server.environment().items():
            patch.setenv(name, value)
        bucket = server.new_bucket()
        names = iter(range(10_000))

        def new_url() -> tuple[str, str]:
            url = f"s3://{bucket}/{next(names)}"
            return url, url

        yield server, Setting(proxy, ingester, source, new_url)


def test_the_server_is_killed(s3):
    """Whatever request it died before: the lake is whole when it is back, and the same ingest ends it."""
    server, setting = s3
    landed = []
    for number in sample(setting.requests(), 5):
        setting.lake()
        setting.at(number, server.kill)
        said = setting.start(retry_budget=0.5).wait()
        server.restart()
        assert said in UNCLEAR, f"killed at request {number}"
        landed.append(setting.is_whole())
        setting.finish()
    assert not landed[0]
    assert landed == sorted(landed)


@pytest.mark.proof
def test_the_server_comes_back(s3):
    """Where it is back within the budget the ingest itself goes on to its end."""
    server, setting = s3
    for number in sample(setting.requests(), 3):
        setting.lake()

        def outage() -> None:
            server.kill()
            threading.Timer(1.0, server.restart).start()

        setting.at(number, outage)
        assert setting.start(retry_budget=60).wait() == "ok", f"killed at request {number}"
        setting.finish()


def cut(proxy: Proxy, how: str) -> Callable[[], bool]:
    """Return what cuts the wire for good, before the request arrives, in its body, or before its answer does."""

    def act() -> bool:
        proxy.refuse = True
        if how == "before":
            proxy.cut()
        elif how == "body":
            proxy.cut_after(sent=700)
            threading.Timer(0.2, proxy.cut).start()
        else:
            threading.Timer(0.2, proxy.cut).start()
        return how == "after"

    return act


@pytest.mark.parametrize("how", ["before", *(pytest.param(how, marks=pytest.mark.proof) for how in ("body", "after"))])
def test_the_wire_to_s3_is_cut(s3, how):
    """Before a request arrives, in its body, or before its answer does: the same."""
    _, setting = s3
    for number in sample(setting.requests(), 3):
        setting.lake()
        setting.at(number, cut(setting.proxy, how))
        setting.ends(setting.start(retry_budget=0.5), f"cut {how} request {number}")
        setting.finish()


@pytest.mark.parametrize("how", ["before", pytest.param("after", marks=pytest.mark.proof)])
def test_a_wire_that_is_cut_once(s3, how):
    """One lost request, or answer, is sent again, and nothing is doubled."""
    _, setting = s3
    for number in sample(setting.requests(), 3):
        setting.lake()
        setting.at(number, (lambda: True) if how == "after" else setting.proxy.cut)
        assert setting.start().wait() == "ok", f"cut {how} request {number}"
        setting.finish()


@pytest.mark.proof
def test_the_ingest_is_killed(s3):
    """Its process dies, with uploads under way: what is left of them is in nobody's way."""
    _, setting = s3
    for number in sample(setting.requests(), 4):
        setting.lake()
        came, gone = threading.Event(), threading.Event()

        def held(came: threading.Event = came, gone: threading.Event = gone) -> None:
            came.set()
            gone.wait(60)

        setting.at(number, held)
        run = setting.start()
        assert came.wait(60)
        run.kill()
        gone.set()
        assert run.wait() == "killed"
        setting.is_whole()
        setting.finish()


def test_the_wire_to_gcs_is_cut(place, gcs_server, proxy_to, source):
    """Before a request arrives, in its body, before its answer does, or by the death of the process: the same."""
    new_place, proxy = place("gcs"), proxy_to(gcs_server)

    def new_url() -> tuple[str, str]:
        url = new_place()
        return url, url

    with Ingester(gcs_server.environment(proxy.url)) as ingester:
        setting = Setting(proxy, ingester, source, new_url)
        requests = setting.requests()
        for how, number in zip(["before", "body", "after", "once"], sample(requests, 6)[1:5], strict=False):
            setting.lake()
            setting.at(number, cut(proxy, how) if how != "once" else lambda: True)
            setting.ends(setting.start(retry_budget=60 if how == "once" else 0.5), f"{how} {number} of {requests}")
            setting.finish()


HDFS_ENDS = {"cut": UNCLEAR, "once sent": {"ok"}, "once received": {"ok"}, "killed": {"killed"}}


@pytest.mark.proof
def test_the_wire_to_hdfs_is_cut(place, hdfs_server, proxy_to, source):
    """A wire to the NameNode that is cut for good, or once, or whose process dies: the same, after any share of bytes."""
    new_place, proxy = place("hdfs"), proxy_to(hdfs_server)

    def new_url() -> tuple[str, str]:
        url = new_place()
        return url, url.replace(f":{hdfs_server.port}/", f":{proxy.local_port}/")

    with Ingester({}) as ingester:
        setting = Setting(proxy, ingester, source, new_url)
        setting.lake()
        proxy.forget()
        assert setting.start().wait() == "ok"
        sent, received = proxy.sent, proxy.received
        shares = [n / 20 for n in range(1, 20)] if EVERY else [0.3, 0.7]
        for number, share in enumerate(shares):
            for how in HDFS_ENDS if EVERY else list(HDFS_ENDS)[number::2]:
                setting.lake()
                proxy.forget()
                run = setting.start(retry_budget=60 if "once" in how else 0.5, timeout=10)
                if how == "once sent":
                    proxy.cut_after(sent=int(share * sent))
                elif how == "once received":
                    proxy.cut_after(received=int(share * received))
                elif _reached(proxy, int(share * sent), run):
                    _end(proxy, run, how)
                said = run.wait()
                assert said in HDFS_ENDS[how] or (said == "ok" and setting.is_whole()), f"{said}: {how} at {share}"
                setting.is_whole()
                setting.finish()


def _end(proxy: Proxy, run: Run, how: str) -> None:
    if how == "killed":
        run.kill()
    else:
        proxy.refuse = True
        proxy.cut()


def _reached(proxy: Proxy, sent: int, run: Run) -> bool:
    """Wait for so many bytes; return false where the ingest did with fewer this time."""
    while proxy.sent < sent:
        if not run.is_alive:
            return False
        time.sleep(0.0005)
    return True
