"""A lake on S3 beside s3fs and pyarrow alone on the same server, and HDFS's `close()`; the servers are those of the tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks._data import need
from benchmarks._lake import fresh
from benchmarks._measure import DATA, DATAPLAT, HERE, Result, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, at_most, of

PARTS = 100_000
COMMITS = 40
FAR = 0.020
"""Seconds that the wire to the store adds to a round trip, in the second of two measurements of commits."""


def tables(settings: Settings) -> list[Table]:
    """Measure ingest, full scan, commits, opening and creation."""
    sys.path.insert(0, str(HERE.parent / "tests" / "services"))
    from servers.s3 import versitygw

    DATA.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="s3-", dir=DATA))
    try:
        with versitygw(folder) as server:
            lake = _Lake(server)
            return [
                _ingest(settings, lake),
                _scan(settings, lake),
                _commits(settings, lake),
                _open(settings, lake),
                _hdfs(settings),
            ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Lake:
    """Names of new lakes on the server, and commands that find it, or a proxy before it."""

    def __init__(self, server: Any) -> None:
        self.server = server

    def new(self) -> str:
        return f"s3://{self.server.new_bucket('bench')}/lake"

    def command(self, command: Sequence[str], url: str | None = None) -> list[str]:
        found = {**self.server.environment(url), "AWS_EC2_METADATA_DISABLED": "true"}
        return ["env", *(f"{name}={value}" for name, value in found.items()), *command]

    def ours(self, what: str, *given: object, url: str | None = None) -> list[str]:
        return self.command(side_program("store_lake", what, *given), url)

    def raw(self, what: str, *given: object, url: str | None = None) -> list[str]:
        return self.command(side_program("store_raw", what, *given), url)

    def run(self, command: Sequence[str]) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _ingest(settings: Settings, lake: _Lake) -> Table:
    """Ingest reads, encodes and sends: beside clients that do that, that only send, and beside both one after the other."""
    source = need("parquet", settings.large)
    local = DATA / "lake-as-sent"
    fresh(local, source)
    made: list[str] = []

    def prepared(_: Path) -> None:
        made.append(lake.new())
        lake.run(lake.command([DATAPLAT, "init", made[-1]]))

    def dataplat(_: Path) -> list[str]:
        return lake.command([DATAPLAT, "ingest", str(source), "--into", "rows", "--lake", made[-1]])

    def upload(client: str) -> Side:
        name = f"{client}, upload of the same parts"
        return Side(name, lambda _: lake.raw(f"upload-{client}", local / "objects", lake.new().removeprefix("s3://")))

    def copy(client: str) -> Side:
        name = f"{client}, pyarrow reads and writes"
        return Side(name, lambda _: lake.raw(f"copy-{client}", source, lake.new().removeprefix("s3://")))

    def near(scratch: Path) -> list[str]:
        return [DATAPLAT, "ingest", str(source), "--into", "rows", "--lake", str(scratch / "lake")]

    def near_prepared(scratch: Path) -> None:
        lake.run([DATAPLAT, "init", str(scratch / "lake")])

    results = compare(
        [
            copy("s3fs"),
            copy("pyarrow"),
            upload("s3fs"),
            upload("pyarrow"),
            Side("dataplat, folder", near, near_prepared),
            Side("dataplat, S3", dataplat, prepared),
        ],
        settings.repeat,
    )
    shutil.rmtree(local, ignore_errors=True)
    raw = _least(results, [f"{client}, upload of the same parts" for client in ("s3fs", "pyarrow")])
    ours, folder = of(results, "dataplat, S3"), of(results, "dataplat, folder")
    both = None if raw is None or folder is None else raw + folder
    lines = (
        _share(
            "throughput, of pyarrow's that reads and writes to S3",
            ours,
            of(results, "pyarrow, pyarrow reads and writes"),
        ),
        _share("of the same through s3fs", ours, of(results, "s3fs, pyarrow reads and writes")),
        _share("throughput of the same bytes: ingest into a folder, then raw upload, beside ingest", ours, both),
        _share("of raw upload alone, which encodes nothing", ours, raw),
    )
    return Table(f"Ingest Parquet on S3, {settings.large:,} rows × 8", lines, tuple(results))


def _scan(settings: Settings, lake: _Lake) -> Table:
    """The clocks of the clients alone start when they are connected and have listed what there is."""
    url = lake.new()
    ingest = [DATAPLAT, "ingest", str(need("parquet", settings.large)), "--into", "rows", "--lake", url]
    lake.run(lake.command([DATAPLAT, "init", url]))
    lake.run(lake.command(ingest))
    parts = f"{url.removeprefix('s3://')}/objects"
    results = compare(
        [
            Side("s3fs, download of the same bytes", lambda _: lake.raw("download-s3fs", parts)),
            Side("pyarrow dataset over s3fs", lambda _: lake.raw("scan-s3fs", parts)),
            Side("pyarrow dataset", lambda _: lake.raw("scan-pyarrow", parts)),
            Side("dataplat, nothing copied yet", lambda _: lake.ours("scan", url)),
        ],
        settings.repeat,
    )
    peers = {
        "pyarrow.dataset's scan": of(results, "pyarrow dataset", "seconds"),
        "pyarrow.dataset's over s3fs": of(results, "pyarrow dataset over s3fs", "seconds"),
        "s3fs's download, which decodes nothing": of(results, "s3fs, download of the same bytes", "seconds"),
    }
    lines = tuple(
        _share(f"throughput, {what}, of {peer}", of(results, "dataplat, nothing copied yet", figure), theirs)
        for what, figure in (("version open", "scan"), ("opening included", "seconds"))
        for peer, theirs in peers.items()
    )
    return Table(f"Full scan on S3, {settings.large:,} rows × 8, operation", lines, tuple(results))


def _commits(settings: Settings, lake: _Lake) -> Table:
    """A whole append of one row, planning included, over a wire with no delay and with one, in turn.

    What the delay costs s3fs is the unit: threads that wake late make each round trip longer than the wire does.
    """
    from servers.proxy import Proxy

    with Proxy(lake.server.host, lake.server.port) as proxy:

        def away(delay: float) -> Callable[[Path], None]:
            return lambda _: setattr(proxy, "latency", delay / 2)

        def sides(where: str, delay: float) -> list[Side]:
            raw, ours = (
                lambda _: lake.raw("create-s3fs", _bucket(lake), COMMITS, url=proxy.url),
                lambda _: lake.ours("commits", lake.new(), COMMITS, url=proxy.url),
            )
            return [
                Side(f"s3fs create, {where}", raw, away(delay)),
                Side(f"dataplat append, {where}", ours, away(delay)),
            ]

        results = compare([*sides("near", 0.0), *sides("20 ms away", FAR)], settings.repeat)
    near, far, request, requests = (
        of(results, side, "p50_ms")
        for side in (
            "dataplat append, near",
            "dataplat append, 20 ms away",
            "s3fs create, 20 ms away",
            "s3fs create, near",
        )
    )
    if near is None or far is None or request is None or requests is None:
        rounds = beyond = None
    else:
        rounds, beyond = (far - near) / (request - requests), far - 3 * request
    lines = (
        at_most(
            "dependent round trips of an append: what the delay adds, of what it adds to one create",
            rounds,
            3.2,
            "round trips",
        ),
        at_most("20 ms away, beyond three creates of s3fs", beyond, 5, "ms"),
    )
    return Table("Commits on S3, one row each, p50", lines, tuple(results))


def _bucket(lake: _Lake) -> str:
    return lake.new().removeprefix("s3://")


def _open(settings: Settings, lake: _Lake) -> Table:
    urls = {f"dataplat, statistics of {columns} columns": (columns, lake.new()) for columns in (10, 32)}
    for columns, url in urls.values():
        lake.run(lake.command([DATAPLAT, "init", url]))
        lake.run(lake.ours("parts", url, PARTS, columns))
    sides = [Side(name, lambda _, url=url: lake.ours("open", url)) for name, (_, url) in urls.items()]  # type: ignore[misc]
    results = compare(sides, settings.repeat)
    lines = [
        at_most(f"{what}, {columns} columns", of(results, name, figure), most, unit)
        for name, (columns, _) in urls.items()
        for what, figure, most, unit in (("operation", "open", 2, "s"), ("read", "read_mb", 30, "MB"))
    ]
    return Table(f"Open a version of {PARTS:,} parts on S3, nothing copied yet", tuple(lines), tuple(results))


def _hdfs(settings: Settings) -> Table:
    """`close()` of a small file takes 10 ms or 510 ms with the client alone."""
    from servers.hdfs import hdfs

    folder = Path(tempfile.mkdtemp(prefix="hdfs-", dir=DATA))
    try:
        with hdfs(folder) as server:
            places = [f"{server.url}{server.new_folder()}" for _ in range(2)]
            results = compare(
                [
                    Side(
                        "hdfs-native: create, close, rename",
                        lambda _: side_program("store_raw", "create-hdfs", places[0], COMMITS),
                    ),
                    Side("dataplat's create", lambda _: side_program("store_lake", "create", places[1], COMMITS)),
                ],
                settings.repeat,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lines = (
        at_most("create, p50", of(results, "dataplat's create", "p50_ms"), 50, "ms"),
        at_most("create, p90", of(results, "dataplat's create", "p90_ms"), 100, "ms"),
        at_most(
            "creates that waited out the client's sleep", of(results, "dataplat's create", "above_400_ms"), 0, "creates"
        ),
    )
    return Table(f"Create {COMMITS} small objects on HDFS", lines, tuple(results))


def _least(results: Sequence[Result], sides: Sequence[str]) -> float | None:
    found = [seconds for side in sides if (seconds := of(results, side, "seconds")) is not None]
    return min(found, default=None)


def _share(what: str, ours: float | None, theirs: float | None) -> Line:
    """Return the line of a throughput: the same bytes in `theirs` seconds and in `ours`."""
    if ours is None or theirs is None:
        return Line(what, NOT_MEASURED, "≥ 0.8 ×", None)
    return Line(what, f"{theirs / ours:.2f} × ({theirs:.3f} / {ours:.3f} s)", "≥ 0.8 ×", theirs / ours >= 0.8)
