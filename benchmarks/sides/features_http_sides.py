"""One side of the HTTP benchmark: starts a server with one worker, asks it, and says how many requests it answers in a CPU second.

python features_http_sides.py dataplat|bare|fastapi|feast SCRATCH
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

KEYS = 2000
FEATURES = [f"view_{view}__f{feature}" for view in range(5) for feature in range(10)]
CASES = ((1, 1), (1, 32), (100, 1), (100, 32))
"""Batch, and connections."""


def body(side: str, batch: int, at: int) -> bytes:
    """Return a request of the side's own form."""
    keys = [f"k{1 + (at * 7 + place * 20) % (KEYS - 1)}" for place in range(batch)]
    if side == "feast":
        names = [name.replace("__", ":") for name in FEATURES]
        return json.dumps({"features": names, "entities": {"airport": keys}, "full_feature_names": True}).encode()
    return json.dumps({"service": "bench", "entities": {"airport": keys}}).encode()


def path(side: str) -> str:
    """Return where the side is asked."""
    return "/get-online-features" if side == "feast" else "/features/lookup"


def main(side: str, scratch: Path) -> None:
    """Measure one side in all cases."""
    from benchmarks._load import load, request

    figures: dict[str, float] = {}
    with server(side, scratch) as (port, pid):
        for batch, connections in CASES:
            requests = [request(path(side), body(side, batch, at)) for at in range(100)]
            few = side == "feast"
            most = (60 if few else 3000) if batch == 1 else (10 if few else 400)
            load("127.0.0.1", port, requests, connections, most=max(connections, most // 10))
            before = cpu(pid)
            seen = load("127.0.0.1", port, requests, connections, most=most)
            spent = cpu(pid) - before
            assert not seen.other, seen.other
            assert not seen.lost
            name = f"batch {batch}, {connections} connections"
            figures[f"{name}: requests a CPU second"] = seen.answered / spent
            figures[f"{name}: p50 ms"] = seen.quantile(0.5) * 1000
    print(json.dumps(figures))


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process and of what it started."""
    import psutil

    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


@contextmanager
def server(side: str, scratch: Path) -> Iterator[tuple[int, int]]:
    """Run the server of a side; give port and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        feast(scratch, port) if side == "feast" else ours(side, scratch, port), cwd=scratch,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=(scratch / "log").open("wb"),
    )  # fmt: skip
    try:
        wait_for(port, process)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a port answers HTTP."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                if connection.recv(16).startswith(b"HTTP/1.1"):
                    return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the server does not answer")


def ours(side: str, scratch: Path, port: int) -> list[str]:
    """Fill an LMDB, and return what serves it."""
    from benchmarks._served import Shape, fill
    from dataplat.feature_store.online.lmdb_store import LmdbStore

    store = LmdbStore(scratch / "online")
    fill(store, Shape(KEYS, odd=0), 1)
    store.close()
    if side == "dataplat":
        flags = {"port": port, "workers": 1, "access_log": str(scratch / "access.log")}
        told = {"folder": str(scratch / "online"), "shape": {"keys": KEYS, "odd": 0}, "flags": flags}
        return [sys.executable, "-m", "benchmarks._served", json.dumps(told)]
    return [sys.executable, __file__, f"serve-{side}", str(scratch), str(port)]


# ------------------------------------------------------------------------------------------------------------ peers


def looked_up(scratch: Path):
    """Return what looks up, as `dataplat serve` does."""
    from benchmarks._served import SPACE, OneService, Shape
    from dataplat.feature_store.online.lmdb_store import LmdbStore
    from dataplat.feature_store.online.serve import OneRow
    from dataplat.server._counts import Counts

    store = LmdbStore(scratch / "online")
    serving = OneService(store, Shape(KEYS, odd=0), Counts(), 10_000).open(SPACE).serving

    def look(entities):
        t = time.time_ns() // 1000
        served = serving.answer(entities, {}, t, lambda keys: store.read(SPACE, keys))
        raw = served.raw.dict() if isinstance(served.raw, OneRow) else served.raw
        return {
            "service": SPACE, "snapshot": served.snapshot.id, "sequence": served.sequence, "t": str(t), "stale": [], "features": raw,
        }  # fmt: skip

    return look


def serve_bare(scratch: Path, port: int) -> None:
    """Serve by an ASGI application of a few lines on the same uvicorn: the same store call, the same bytes."""
    import orjson
    import uvicorn

    look = looked_up(scratch)

    async def app(scope, receive, send):
        data = b""
        while True:
            message = await receive()
            data += message.get("body", b"")
            if not message.get("more_body"):
                break
        out = b"{}" if scope["path"] == "/healthz" else orjson.dumps(look(orjson.loads(data)["entities"]))
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(out))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": out})

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off", ws="none")


def serve_fastapi(scratch: Path, port: int) -> None:
    """Serve by FastAPI and pydantic, as one would write it: the same JSON, checked on the way in and on the way out."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel, create_model

    look = looked_up(scratch)
    app = FastAPI()

    class Asked(BaseModel):
        service: str
        entities: dict[str, list[str | None]]

    kinds = {name: (list[(float, float, float, int, str)[int(name[-1]) % 5] | None], ...) for name in FEATURES}
    features = create_model("Features", **kinds)

    class Answer(BaseModel):
        service: str
        snapshot: str
        sequence: int
        t: str
        stale: list[str]
        features: features

    @app.get("/healthz")
    async def healthz():
        return {}

    async def lookup(asked: Asked):
        return look(asked.entities)

    lookup.__annotations__["asked"] = Asked
    app.post("/features/lookup", response_model=Answer)(lookup)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def feast(scratch: Path, port: int) -> list[str]:
    """Make a Feast repository with the same views in its SQLite store, and return what serves it."""
    from benchmarks._feast import make

    python = make()
    repository = scratch / "feast"
    repository.mkdir()
    (repository / "feature_store.yaml").write_text(
        "project: bench\nprovider: local\nregistry: registry.db\nentity_key_serialization_version: 3\n"
        "online_store:\n  type: sqlite\n  path: online.db\n"
    )
    (repository / "definitions.py").write_text(_FEAST.replace("KEYS", str(KEYS)))
    quiet = {**os.environ, "FEAST_USAGE": "False", "PYTHONPATH": ""}
    subprocess.run([python, "definitions.py"], cwd=repository, env=quiet, check=True, stdout=subprocess.DEVNULL)
    return [
        str(python.parent / "feast"), "-c", str(repository), "serve", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--no-access-log",
    ]  # fmt: skip


_FEAST = """
import datetime as dt
import numpy as np, pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.types import Float64, Int64, String
from feast.value_type import ValueType

airport = Entity(name="airport", join_keys=["airport"], value_type=ValueType.STRING)
now = dt.datetime.now(dt.timezone.utc)
views = []
for view in range(5):
    frame = {"airport": [f"k{key}" for key in range(KEYS)], "t": [now] * KEYS}
    for feature in range(10):
        values = np.arange(KEYS) + feature
        frame[f"f{feature}"] = values / 8 if feature % 5 < 3 else values if feature % 5 == 3 else [f"s{v}" for v in values]
    pd.DataFrame(frame).to_parquet(f"source_{view}.parquet")
    kinds = [Float64, Float64, Float64, Int64, String] * 2
    views.append(FeatureView(
        name=f"view_{view}", entities=[airport], ttl=dt.timedelta(days=1),
        schema=[Field(name=f"f{at}", dtype=kind) for at, kind in enumerate(kinds)],
        source=FileSource(path=f"source_{view}.parquet", timestamp_field="t"),
    ))
store = FeatureStore(".")
store.apply([airport, *views])
store.materialize(now - dt.timedelta(hours=1), now + dt.timedelta(hours=1))
"""


if __name__ == "__main__":
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "serve-bare":
        serve_bare(folder, int(sys.argv[3]))
    elif what == "serve-fastapi":
        serve_fastapi(folder, int(sys.argv[3]))
    else:
        main(what, folder)
