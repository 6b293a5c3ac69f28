"""The folder in the user's cache."""

import sys
from pathlib import Path

from dataplat.lake._cache_dir import cache_dir


def test_cache_dir_follows_the_platform(monkeypatch):
    """`XDG_CACHE_HOME` wins; without it the platform's own place is taken."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_dir() == Path("/somewhere/dataplat")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_dir() == Path.home() / "Library" / "Caches" / "dataplat"
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_dir() == Path.home() / ".cache" / "dataplat"
