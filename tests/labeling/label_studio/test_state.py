"""Secrets of the local server: in one file that nobody else can read, and in no repr."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dataplat.errors import ConfigError
from dataplat.labeling.label_studio._state import State, load, load_or_make, save, state_dir


def test_made_once(tmp_path: Path) -> None:
    """Secrets are made once, by chance, and read again."""
    assert load(tmp_path / "a") is None
    made = load_or_make(tmp_path / "a")
    assert load_or_make(tmp_path / "a") == load(tmp_path / "a") == made
    assert not set(made.secrets) & set(load_or_make(tmp_path / "b").secrets)


def test_only_for_its_user(tmp_path: Path) -> None:
    """The folder and the file are for their user alone; a file that others may read is refused."""
    load_or_make(tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    path = tmp_path / "a" / "server.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load(tmp_path / "a")


def test_damaged(tmp_path: Path) -> None:
    """A file that is damaged is said to be, and not replaced: links that were sent rest on it."""
    save(State(token="t", password="p", secret="s"), tmp_path)
    path = tmp_path / "server.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ConfigError, match=r"server\.json: cannot be read"):
        load_or_make(tmp_path)


def test_nothing_told() -> None:
    """Its repr holds ports only; passwords differ by address, and stay the same."""
    state = State(token="t0k3n", password="p4ss", secret="s3cr3t", port=1)
    assert not [secret for secret in state.secrets if secret in f"{state} {state!r}"]
    assert state.password_of("A@x.example") == state.password_of("a@x.example") != state.password_of("b@x.example")
    assert len(state.password_of("a@x.example")) == 24


def test_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It lies where the platform keeps data of users."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert state_dir() == tmp_path / "dataplat" / "label-server"
