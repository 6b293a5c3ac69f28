"""open_store: from a URL to a store, making nothing."""

from pathlib import Path

import pytest

from dataplat.errors import ConfigError
from dataplat.lake.stores import FileStore, MemoryStore, open_store


def test_paths_and_file_urls_are_the_same_store(tmp_path):
    """A path as text or Path, and file URLs with or without localhost, percent-encoded, name the same folder."""
    root = tmp_path / "a lake"
    FileStore(root).create("x", b"1")
    encoded = str(root).replace(" ", "%20")
    for url in (root, str(root), f"file://{encoded}", f"file://localhost{encoded}", f"FILE://{encoded}"):
        assert open_store(url).read("x") == b"1"


def test_home_is_expanded(monkeypatch, tmp_path):
    """`~` is the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    store = open_store("~/lake")
    assert isinstance(store, FileStore)
    assert store.root == Path(tmp_path / "lake")


def test_named_memory_is_shared_and_unnamed_is_not():
    """memory://name is found again; memory:// is new each time."""
    open_store("memory://test-open").create("x", b"1")
    assert open_store("memory://test-open").read("x") == b"1"
    assert isinstance(open_store("memory://"), MemoryStore)
    open_store("memory://").create("x", b"1")
    assert list(open_store("memory://").list("")) == []


@pytest.mark.parametrize(("url", "told"), [("s4://bucket/x", "memory://"), ("file://host/x", "three slashes")])
def test_what_nobody_serves_is_said(url, told):
    """An unknown scheme or a foreign host is a ConfigError that says what there is."""
    with pytest.raises(ConfigError, match=told):
        open_store(url)


def test_opening_makes_nothing(tmp_path):
    """No folder is made by opening."""
    open_store(tmp_path / "lake")
    assert list(tmp_path.iterdir()) == []
