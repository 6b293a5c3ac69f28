"""What a user mistypes as the place of a lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataplat.errors import ConfigError
from dataplat.lake.stores import open_store


@pytest.mark.parametrize("kind", [str, Path])
def test_windows_path_is_refused(kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path of Windows is refused, not made as a folder with backslashes in its name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="path of Windows"):
        open_store(kind("C:\\data\\lake"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "said"),
    [("s3://", "an s3:// URL is"), ("gs://", "a gs:// URL is"), ("hdfs://", "an hdfs:// URL is hdfs://HOST:PORT/PATH")],
)
def test_missing_bucket_says_the_form(url: str, said: str) -> None:
    """A URL without a bucket, or without host and path, is answered with the form that it has."""
    with pytest.raises(ConfigError, match=said):
        open_store(url)
