"""Places for lakes on every kind of store, each with a real server behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

HDFS = pytest.param("hdfs", marks=pytest.mark.xdist_group("hdfs"))  # the one worker that has its server
KINDS = ["file", "s3", "gcs", HDFS]

_UNSET = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL", "DATAPLAT_LAKE")


@pytest.fixture
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Callable[[], str]]:
    """Return a function from a kind of store to one that names a new place there, which this process's children find."""

    def found(kind: str) -> Callable[[], str]:
        monkeypatch.chdir(tmp_path)
        for name in _UNSET:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        if kind == "file":
            return lambda: str(tmp_path / f"lake-{uuid4().hex[:8]}")
        server = request.getfixturevalue(f"{kind}_server")
        if kind == "hdfs":
            return lambda: f"{server.url}{server.new_folder()}"
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        scheme = {"s3": "s3", "gcs": "gs"}[kind]
        return lambda: f"{scheme}://{server.new_bucket()}/lake"

    return found
