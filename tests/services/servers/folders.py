"""Folders of files on every kind of server, and what a test does to them there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from servers.gcs import GcsServer
from servers.hdfs import HdfsServer
from servers.s3 import S3Server

HDFS = pytest.param("hdfs", marks=pytest.mark.xdist_group("hdfs"))  # the one worker that has its server
FAR = ["s3", "gcs", HDFS]


@dataclass
class Folder:
    """A folder at `url`."""

    url: str
    write: Callable[[str, bytes], None]
    remove: Callable[[str], None]

    def put_all(self, folder: Path) -> None:
        """Copy what lies in a folder of this machine."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(path.relative_to(folder).as_posix(), path.read_bytes())


def s3_folder(server: S3Server) -> Folder:
    """Return a new bucket's folder."""
    import s3fs

    bucket = server.new_bucket("source")
    files = s3fs.S3FileSystem(**server.options())

    def write(name: str, data: bytes) -> None:
        files.call_s3("put_object", Bucket=bucket, Key=f"in/{name}", Body=data)

    def remove(name: str) -> None:
        files.call_s3("delete_object", Bucket=bucket, Key=f"in/{name}")

    return Folder(f"s3://{bucket}/in", write, remove)


def gcs_folder(server: GcsServer) -> Folder:
    """Return a new bucket's folder."""
    from gcsfs.core import GCSFileSystem

    bucket = server.new_bucket("source")
    files = GCSFileSystem(**server.options())

    def write(name: str, data: bytes) -> None:  # gcsfs sends a large body in a way that aiohttp warns of
        at = f"{server.url}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(f'in/{name}', safe='')}"
        with urlopen(Request(at, data, {"Content-Type": "application/octet-stream"}), timeout=60):  # noqa: S310 - our own
            pass

    return Folder(
        f"gs://{bucket}/in",
        write,
        lambda name: files.rm_file(f"{bucket}/in/{name}"),
    )


def hdfs_folder(server: HdfsServer) -> Folder:
    """Return a new folder."""
    from hdfs_native import WriteOptions

    folder = server.new_folder("source")
    client = server.client()

    def write(name: str, data: bytes) -> None:
        writer: Any = client.create(f"{folder}/{name}", WriteOptions(overwrite=True, create_parent=True))
        writer.write(data)
        writer.close()

    return Folder(f"{server.url}{folder}", write, lambda name: client.delete(f"{folder}/{name}"))


KINDS: dict[str, Callable[[Any], Folder]] = {"s3": s3_folder, "gcs": gcs_folder, "hdfs": hdfs_folder}
