"""The real servers do what stores rest on, through the versions of their clients that we pin."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from servers import GcsServer, HdfsServer, Proxy, S3Server, Server, fake_gcs, versitygw

RACERS = 16
LARGE = 6 * 2**20  # a part of a multipart upload has five megabytes at least, but for the last


def race(create: Callable[[int, int], None], lost: type[Exception], rounds: int) -> None:
    """Let all racers create the same name at once, in each round; exactly one may win, the others hear why."""
    together = Barrier(RACERS)

    def run(racer: int, number: int) -> str:
        together.wait()
        try:
            create(number, racer)
        except lost:
            return "lost"
        return "won"

    with ThreadPoolExecutor(RACERS) as pool:
        for number in range(rounds):
            ends = Counter(pool.map(run, range(RACERS), [number] * RACERS))
            assert ends == {"won": 1, "lost": RACERS - 1}, f"round {number}: {ends}"


def s3(server: S3Server, url: str | None = None) -> Any:
    """Return s3fs with no retries of its own."""
    import s3fs

    files = s3fs.S3FileSystem(**server.options(url, max_pool_connections=2 * RACERS))
    files.retries = 1
    return files


def gcs(server: GcsServer) -> Any:
    """Return gcsfs."""
    import gcsfs

    return gcsfs.GCSFileSystem(**server.options())


def put_get_list(files: Any, root: str) -> None:
    """Write, read in whole and in part, list in order, delete."""
    for name in ("b", "a/y", "a/x"):
        files.pipe_file(f"{root}/{name}", name.encode() * 10)
    assert files.cat_file(f"{root}/a/x") == b"a/x" * 10
    assert files.cat_file(f"{root}/a/x", start=3, end=6) == b"a/x"
    assert sorted(files.find(root)) == [f"{root}/a/x", f"{root}/a/y", f"{root}/b"]
    files.rm_file(f"{root}/b")
    with pytest.raises(FileNotFoundError):
        files.cat_file(f"{root}/b")


# --------------------------------------------------------------------------------------------------------------- S3


def test_s3(s3_server: S3Server) -> None:
    """The real S3 stores, gives back, lists and deletes."""
    put_get_list(s3(s3_server), s3_server.new_bucket())


def test_moto(moto_server: S3Server) -> None:
    """So does moto."""
    put_get_list(s3(moto_server), moto_server.new_bucket())


def test_s3_creators(s3_server: S3Server) -> None:
    """Of 16 creators of one key one wins, the others hear that it exists; the winner's bytes are what is there."""
    files, bucket, winners = s3(s3_server), s3_server.new_bucket(), {}

    def create(number: int, racer: int) -> None:
        body = f"{racer}".encode()
        files.call_s3("put_object", Bucket=bucket, Key=f"k{number}", Body=body, IfNoneMatch="*")
        winners[number] = body

    race(create, FileExistsError, 20)
    assert {number: files.cat_file(f"{bucket}/k{number}") for number in winners} == winners


def test_s3_multipart_creators(s3_server: S3Server) -> None:
    """Of 16 uploads in parts to one key one is completed: the condition goes with the completion."""
    files, bucket, winners = s3(s3_server), s3_server.new_bucket(), {}
    part = bytes(LARGE)

    def create(number: int, racer: int) -> None:
        key = {"Bucket": bucket, "Key": f"k{number}"}
        upload = {**key, "UploadId": files.call_s3("create_multipart_upload", **key)["UploadId"]}
        bodies = [part, f"{racer}".encode()]
        tags = [files.call_s3("upload_part", **upload, PartNumber=n, Body=b)["ETag"] for n, b in enumerate(bodies, 1)]
        parts = {"Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]}
        files.call_s3("complete_multipart_upload", **upload, MultipartUpload=parts, IfNoneMatch="*")
        winners[number] = bodies[1]

    race(create, FileExistsError, 2)
    for number, end in winners.items():
        assert files.cat_file(f"{bucket}/k{number}", start=LARGE) == end


def test_s3_answer_lost(s3_server: S3Server, proxy_to: Callable[[Server], Proxy]) -> None:
    """A create whose answer is lost is sent again by aiohttp and told as lost: who hears that has to look."""
    proxy, bucket = proxy_to(s3_server), s3_server.new_bucket()
    files = s3(s3_server, proxy.url)
    proxy.drop_response_once()
    with pytest.raises(FileExistsError):
        files.call_s3("put_object", Bucket=bucket, Key="k", Body=b"ours", IfNoneMatch="*")
    assert proxy.count("PUT") == 2  # though botocore and s3fs were told not to
    assert files.cat_file(f"{bucket}/k") == b"ours"


# -------------------------------------------------------------------------------------------------------------- GCS


def test_gcs(gcs_server: GcsServer) -> None:
    """The GCS of the tests stores, gives back, lists and deletes."""
    put_get_list(gcs(gcs_server), gcs_server.new_bucket())


def test_gcs_creators(gcs_server: GcsServer) -> None:
    """Of 16 creators of one name one wins, and its bytes are what is there."""
    files, bucket, winners = gcs(gcs_server), gcs_server.new_bucket(), {}

    def create(number: int, racer: int) -> None:
        files.pipe_file(f"{bucket}/k{number}", f"{racer}".encode(), mode="create")
        winners[number] = racer

    race(create, FileExistsError, 20)
    assert {number: int(files.cat_file(f"{bucket}/k{number}")) for number in winners} == winners


# ------------------------------------------------------------------------------------------------------------- HDFS


@pytest.mark.xdist_group("hdfs")
def test_hdfs(hdfs_server: HdfsServer) -> None:
    """The real HDFS stores, gives back, lists and deletes."""
    from hdfs_native.fsspec import HdfsFileSystem

    files = HdfsFileSystem(hdfs_server.host, hdfs_server.port, skip_instance_cache=True)
    put_get_list(files, hdfs_server.new_folder())


@pytest.mark.xdist_group("hdfs")
def test_hdfs_creators(hdfs_server: HdfsServer) -> None:
    """Of 16 renames of files of their own to one name one wins; the others are told that it exists."""
    client, root, winners = hdfs_server.client(), hdfs_server.new_folder(), {}

    def create(number: int, racer: int) -> None:
        temporary = f"{root}/.{number}-{racer}"
        with client.create(temporary) as file:
            file.write(f"{racer}".encode())
        client.rename(temporary, f"{root}/{number}", overwrite=False)
        winners[number] = racer

    race(create, FileExistsError, 6)
    assert {number: int(client.read(f"{root}/{number}").read()) for number in winners} == winners


# -------------------------------------------------------------------------------------------------------- processes


def test_killed_and_started_again(tmp_path: Path) -> None:
    """A server that is killed refuses, and comes back on its port with what it had."""
    with versitygw(tmp_path) as server:
        files, bucket = s3(server), server.new_bucket()
        files.pipe_file(f"{bucket}/k", b"kept")
        server.kill()
        with pytest.raises(Exception, match="connect"):
            files.cat_file(f"{bucket}/k")
        server.restart()
        assert files.cat_file(f"{bucket}/k") == b"kept"
        pid = server.process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_gcs_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The durable GCS comes back with what it had."""
    with fake_gcs(tmp_path, durable=True) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        files, bucket = gcs(server), server.new_bucket()
        files.pipe_file(f"{bucket}/k", b"kept")
        server.kill()
        server.restart()
        assert gcs(server).cat_file(f"{bucket}/k") == b"kept"


def test_tests_that_were_killed(tmp_path: Path) -> None:
    """A server ends with the tests that started it, even if those had no time to stop it."""
    here = Path(__file__).parent
    starts = (
        f"import sys; sys.path.insert(0, {str(here)!r})\n"
        "from pathlib import Path; from servers import versitygw\n"
        f"with versitygw(Path({str(tmp_path)!r})) as server:\n"
        "    print(server.process.pid, flush=True); sys.stdin.read()\n"
    )
    cache = {"XDG_CACHE_HOME": str(versitygw_cache())}
    with subprocess.Popen(
        [sys.executable, "-c", starts], stdin=-1, stdout=-1, text=True, env={**os.environ, **cache}
    ) as tests:
        assert tests.stdout is not None
        pid = int(tests.stdout.readline())
        os.kill(pid, 0)
        tests.kill()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def versitygw_cache() -> Path:
    """Return the cache that holds the servers, which the tests' own hides."""
    from servers.installed import needs

    return needs("s3").parent.parent
