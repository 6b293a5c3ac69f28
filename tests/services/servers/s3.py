"""S3: versitygw, which writes to a folder and keeps its promises in a race, and moto, which is odd on demand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from servers.installed import needs
from servers.process import Server, answers, running

ACCESS_KEY, SECRET_KEY = "dataplat-tests", "not-a-secret-of-anybody"


@dataclass(frozen=True)
class S3Server(Server):
    """An S3 end point of the loopback, and what a client needs to know of it."""

    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = "us-east-1"

    @property
    def url(self) -> str:
        """The end point."""
        return f"http://{self.host}:{self.port}"

    def options(self, url: str | None = None, **config: Any) -> dict[str, Any]:
        """Return what s3fs is made with; `url` may be a proxy's, `config` is botocore's.

        No retries, so that a test sees each answer as the server gave it.
        """
        return {
            "endpoint_url": url or self.url,
            "key": self.access_key,
            "secret": self.secret_key,
            "client_kwargs": {"region_name": self.region},
            "config_kwargs": {"retries": {"total_max_attempts": 1}, "connect_timeout": 5, "read_timeout": 20, **config},
            "skip_instance_cache": True,
            "use_listings_cache": False,
        }

    def environment(self, url: str | None = None) -> dict[str, str]:
        """Return the variables by which AWS's own chain finds this server."""
        return {
            "AWS_ENDPOINT_URL_S3": url or self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def new_bucket(self, prefix: str = "lake") -> str:
        """Make a bucket that no other test has, and return its name."""
        import s3fs

        name = f"{prefix}-{uuid4().hex[:12]}"
        files = s3fs.S3FileSystem(**self.options())
        files.call_s3("create_bucket", Bucket=name)
        return name


@contextmanager
def versitygw(folder: Path) -> Iterator[S3Server]:
    """Run versitygw over a folder: what it says it has stored survives its being killed."""
    program = needs("s3") / "versitygw"
    (folder / "data").mkdir(parents=True, exist_ok=True)

    def command(port: int) -> list[str]:
        keys = ["--access", ACCESS_KEY, "--secret", SECRET_KEY]
        serve = ["--port", f"127.0.0.1:{port}", "--health", "/health", "--keep-alive", "--quiet"]
        return [str(program), *keys, *serve, "posix", str(folder / "data")]

    def ready(port: int) -> bool:
        return answers(f"http://127.0.0.1:{port}/health")

    with running(folder, command, ready) as (port, process):
        yield S3Server("127.0.0.1", port, folder, process)


@contextmanager
def moto(folder: Path) -> Iterator[S3Server]:
    """Run moto, all in memory. It looks before it writes, so no race proves anything here."""

    def command(port: int) -> list[str]:
        serve = "from moto.server import main; main()"
        return [sys.executable, "-W", "ignore", "-c", serve, "-H", "127.0.0.1", "-p", str(port)]

    def ready(port: int) -> bool:
        return answers(f"http://127.0.0.1:{port}/")

    with running(folder, command, ready, timeout=120) as (port, process):
        yield S3Server("127.0.0.1", port, folder, process)
