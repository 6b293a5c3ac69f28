"""Settings of `[serve]`, and API keys."""

import pytest

from dataplat.config import Config, Secret, load
from dataplat.errors import ConfigError
from dataplat.server._keyring import ANYBODY, Keyring
from dataplat.server._problems import Problem
from dataplat.server._settings import Key, Settings, settings_of


def of(tmp_path, text, **flags):
    """Return the settings of a file."""
    (tmp_path / "dataplat.toml").write_text(text)
    return settings_of(load(tmp_path, {}), flags)


def test_flags_go_before_the_file_and_the_file_before_what_is_usual(tmp_path):
    """What is given counts; what is not is as usual."""
    found = of(tmp_path, '[serve]\nport = 9000\nworkers = 3\nmax_body = "1 MB"\ngrace = 2\n', port=9001, workers=None)
    assert (found.port, found.workers, found.max_body, found.grace) == (9001, 3, 10**6, 2)
    assert found.max_entities == Settings().max_entities


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("port = 'x'", "port must be of type int"),
        ("port = true", "port must be of type int"),
        ("workers = 0", "workers must be 1 or more"),
        ("prot = 1", "did you mean 'port'"),
        ("max_body = 'much'", "max_body must be a number of bytes"),
        ("services = 'm'", "services must be a list"),
        ("docs = 1", "docs must be of type bool"),
        ("deadline = -1.0", "deadline must be 0 or more"),
        ("keys = 3", "keys are tables"),
        ("[serve.keys.m]\nkey = 'env:X'", "needs key"),
        ("[serve.keys.m]\nkey = 'secret'\nscopes = ['lookup']", "by reference"),
        ("[serve.keys.m]\nkey = 'env:X'\nscopes = ['all']", "scopes are some of lookup, push, admin"),
        ("flush = 'soon'", r"\[serve\] flush is a number and us, ms, s"),
        ("flush = -1", "flush must be 0 or more"),
        ("flush_rows = 0", "flush_rows must be 1 or more"),
        ("host = '192.0.2.1'", "lets other machines in, and there are no API keys"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, match):
    """An unknown setting, a wrong type, an open door: each is refused with what to do."""
    with pytest.raises(ConfigError, match=match):
        of(tmp_path, f"[serve]\n{text}\n")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 5.0),
        ("flush = '250ms'", 0.25),
        ("flush = '1m'", 60.0),
        ("flush = 2", 2),
        ("flush = ''", 0.0),
        ("flush = 0", 0),
    ],
)
def test_how_long_pushed_rows_wait(tmp_path, text, seconds):
    """A duration, or seconds; nothing, or 0, leaves it to others."""
    assert of(tmp_path, f"[serve]\n{text}\n").flush == seconds


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("192.0.2.1", False),
        ("::", False),
        ("example.org", False),
    ],
)
def test_what_is_of_this_machine_alone(host, local):
    """Only the loopback is."""
    assert Settings(host=host).local is local


def keyring(monkeypatch, **keys):
    """Return a keyring of texts and scopes."""
    for name, (text, _) in keys.items():
        monkeypatch.setenv(f"KEY_{name}", text)
    return Keyring({name: Key(Secret(f"env:KEY_{name}"), frozenset(scopes)) for name, (_, scopes) in keys.items()})


def test_a_key_is_for_its_scopes(monkeypatch):
    """A key is known by its text, whatever the case of Bearer, and is for its scopes only."""
    ring = keyring(monkeypatch, model=("m" * 16, ["lookup"]), ops=("o" * 16, ["admin", "push"]))
    assert ring.caller(b"Bearer " + b"m" * 16, "lookup").name == "model"
    assert ring.caller(b"bearer  " + b"o" * 16, "push").name == "ops"
    for sent, scope, status in (
        (None, "lookup", 401),
        (b"m" * 16, "lookup", 401),
        (b"Basic " + b"m" * 16, "lookup", 401),
        (b"Bearer " + b"m" * 15, "lookup", 401),
        (b"Bearer \xff", "lookup", 401),
        (b"Bearer " + b"m" * 16, "push", 403),
    ):
        with pytest.raises(Problem) as caught:
            ring.caller(sent, scope)
        assert caught.value.status == status
        assert ("www-authenticate" in str(caught.value.headers)) is (status == 401)


def test_without_keys_anybody_may():
    """Where there are no keys, which is on the loopback alone, everybody may do all."""
    assert Keyring({}).caller(None, "admin") is ANYBODY


@pytest.mark.parametrize("text", ["short", "with a space in it", "ä" * 16, ""])
def test_keys_that_are_none(monkeypatch, text):
    """Keys that could be guessed, or not be sent, are refused."""
    with pytest.raises(ConfigError, match="16 ASCII characters"):
        keyring(monkeypatch, model=(text, ["lookup"]))


def test_two_names_of_one_key(monkeypatch):
    """A key tells who asks, so no two names share one; nothing shows what it is."""
    with pytest.raises(ConfigError, match="the same key"):
        keyring(monkeypatch, one=("m" * 16, ["lookup"]), other=("m" * 16, ["push"]))
    ring = keyring(monkeypatch, model=("m" * 16, ["lookup"]))
    assert "m" * 16 not in repr(vars(ring))
    assert "KEY_" not in repr(settings_of(Config()))
