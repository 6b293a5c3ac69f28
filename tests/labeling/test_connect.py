"""Which annotation server is asked: the environment's, the configured one, the one that runs here; and as whom."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest

from dataplat.config import Config, load
from dataplat.errors import ConfigError, LabelServerError
from dataplat.labeling import connect
from dataplat.labeling.label_studio import _run, _state


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide what this machine has."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in (connect.URL, connect.TOKEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def configured(**settings: str) -> Config:
    """Return settings with a table `[label]`."""
    return Config(label=MappingProxyType(settings), source=Path("dataplat.toml"))


def test_none() -> None:
    """Where there is none it is said how to get one."""
    with pytest.raises(LabelServerError, match="dataplat label server start"):
        connect.find_server()


def test_stopped() -> None:
    """One that was started once and does not run is none."""
    _state.load_or_make()
    with pytest.raises(LabelServerError, match="no annotation server runs here"):
        connect.find_address()


def test_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment comes first; a server without a token is refused."""
    monkeypatch.setenv(connect.URL, "https://ls.example.org/")
    with pytest.raises(ConfigError, match=connect.TOKEN):
        connect.find_address()
    monkeypatch.setenv(connect.TOKEN, "t0k3n")
    monkeypatch.setenv("OTHER", "other")
    found = connect.find_address(configured(url="https://other.example.org", token="env:OTHER"))
    assert (found.url, found.token, found.serve_url, found.local) == ("https://ls.example.org", "t0k3n", None, False)
    assert "t0k3n" not in repr(found)
    assert repr(connect.find_server()) == "LabelStudioServer('https://ls.example.org')"


def test_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`[label]` names a server, its token by reference, and where dataplat's own is."""
    (tmp_path / "dataplat.toml").write_text(
        '[label]\nurl = "https://ls.example.org"\ntoken = "env:LS"\nserve_url = "https://media.example.org/"\n', "utf-8"
    )
    monkeypatch.setenv("LS", "t0k3n")
    found = connect.find_address(load(tmp_path))
    assert (found.url, found.token, found.serve_url) == ("https://ls.example.org", "t0k3n", "https://media.example.org")
    assert connect.elsewhere(load(tmp_path))
    assert "t0k3n" not in repr(load(tmp_path))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "https://x.example"}, "needs token, too"),
        ({"token": "env:LS"}, "needs url, too"),
        ({"url": "https://x.example", "token": "t0k3n"}, "a secret is given by reference"),
        ({"url": "ftp://x.example", "token": "env:LS"}, "must be the address of a server"),
        ({"url": "https://me:pw@x.example", "token": "env:LS"}, "must hold no name and password"),
        ({"urll": "https://x.example"}, "did you mean 'url'"),
        ({"serve_url": "nowhere"}, "must be the address of a server"),
        ({"url": "https://x.example", "token": "env:NOT_SET_AT_ALL"}, "is not set"),
    ],
)
def test_wrong_settings(settings: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong is told, by its name."""
    monkeypatch.setenv("LS", "t")
    with pytest.raises(ConfigError, match=said):
        connect.find_address(configured(**settings))


def test_the_one_that_runs_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where none is named, the one that was started here is asked, as its administrator."""
    state = _state.load_or_make()
    here = _run.Status("http://127.0.0.1:1", "http://127.0.0.1:2", tmp_path, installed=True)
    monkeypatch.setattr(_run, "status", lambda: here)
    found = connect.find_address()
    assert (found.url, found.token, found.serve_url, found.local) == (here.url, state.token, here.serve_url, True)
    assert not connect.elsewhere()
