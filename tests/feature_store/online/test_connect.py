"""Which online store is in force, and what is wrong with a setting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dataplat.config import Config, Secret, load
from dataplat.errors import ConfigError
from dataplat.feature_store.online.connect import RedisSettings, online_store
from dataplat.feature_store.online.lmdb_store import LmdbStore
from dataplat.feature_store.online.redis_store import RedisStore


def written(tmp_path: Path, text: str) -> Config:
    """Return the settings of a file."""
    (tmp_path / "dataplat.toml").write_text(text, "utf-8")
    return load(tmp_path, environ={})


def test_by_default_in_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is said each lake has a folder of its own in the user's state folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    store = online_store(None, "lake-1", Config())
    assert isinstance(store, LmdbStore)
    assert store.folder == tmp_path / "dataplat" / "online" / "lake-1"
    assert not store.folder.exists()
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    other = online_store(None, "lake-2", Config())
    assert isinstance(other, LmdbStore)
    assert other.folder == tmp_path / ".local" / "state" / "dataplat" / "online" / "lake-2"


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the file is relative to it, one that is given to where we are; each lake has one in it."""
    config = written(tmp_path, '[features]\nonline = "lmdb:served"\n')
    store = online_store(None, "lake-1", config)
    assert isinstance(store, LmdbStore)
    assert store.folder == tmp_path / "served" / "lake-1"
    given = online_store(f"lmdb:{tmp_path / 'here'}", "lake-1", config)
    assert isinstance(given, LmdbStore)
    assert given.folder == tmp_path / "here" / "lake-1"
    monkeypatch.setenv("HOME", str(tmp_path))
    home = online_store("lmdb:~/there", "lake-1", config)
    assert isinstance(home, LmdbStore)
    assert home.folder == tmp_path / "there" / "lake-1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('online = "redis://h"', RedisSettings("h")),
        ('online = "redis://h:7/3"', RedisSettings("h", 7, 3)),
        ('online = "rediss://h:7"', RedisSettings("h", 7, tls=True)),
        ('online = "redis+cluster://h:7"', RedisSettings("h", 7, cluster=True)),
        ('online = "rediss+cluster://[::1]:7/0"', RedisSettings("::1", 7, tls=True, cluster=True)),
        (
            'online = "redis://h"\nusername = "u"\npassword = "env:P"\ntimeout = 0.5\neviction = "warn"',
            RedisSettings(
                "h", username="u", password=Secret("env:P", "features.password"), timeout=0.5, eviction="warn"
            ),
        ),
    ],
)
def test_a_redis(tmp_path: Path, text: str, expected: RedisSettings) -> None:
    """The URL says where, by TLS or not, a cluster or not; the settings say the rest."""
    store = online_store(None, "lake-1", written(tmp_path, f"[features]\n{text}\n"))
    assert isinstance(store, RedisStore)
    assert store.settings == expected
    assert "P" not in repr(store.settings)


def test_files_of_tls(tmp_path: Path) -> None:
    """Files of certificates are relative to the file that names them."""
    text = 'online = "rediss://h"\nca_bundle = "ca.pem"\ncertificate = "/c.pem"\nkey = "k.pem"'
    store = online_store(None, "lake-1", written(tmp_path, f"[features]\n{text}\n"))
    assert isinstance(store, RedisStore)
    assert store.settings == RedisSettings(
        "h", tls=True, ca_bundle=str(tmp_path / "ca.pem"), certificate="/c.pem", key=str(tmp_path / "k.pem")
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("onlin = 'lmdb:x'", "unknown setting 'onlin' in .features.; did you mean 'online'"),
        ("online = 3", "features.online must be a text"),
        ("online = 'memcached://h'", "an online store is lmdb:FOLDER or redis://HOST:PORT"),
        ("online = 'redis://'", "an online store is"),
        ("online = '/a/folder'", "an online store is"),
        ("online = 'redis://me:" + "s3cret@h'", "must hold no name and password"),
        ("online = 'redis://h:70000'", "[Pp]ort"),
        ("online = 'redis://h:1/x'", "only the number of a database"),
        ("online = 'redis://h:1/0?password=s3cret'", "only the number of a database"),
        ("online = 'redis+cluster://h:1/2'", "a cluster has database 0 alone"),
        ("online = 'redis://h'\npassword = 's3cret'", "a secret is given by reference"),
        ("online = 'redis://h'\nusername = 'u'", "needs a password, too"),
        ("online = 'redis://h'\ntimeout = 0", "features.timeout must be seconds"),
        ("online = 'redis://h'\ntimeout = '2s'", "features.timeout must be seconds"),
        ("online = 'redis://h'\ntimeout = true", "features.timeout must be seconds"),
        ("online = 'redis://h'\neviction = 'ignore'", '"refuse" or "warn"'),
        ("online = 'redis://h'\nca_bundle = 'ca.pem'", "write rediss://"),
        ("online = 'rediss://h'\nkey = 'k.pem'", "belong together"),
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, text: str, says: str) -> None:
    """What is wrong is named, with what to write; a secret is in no message."""
    with pytest.raises(ConfigError, match=says) as told:
        online_store(None, "lake-1", written(tmp_path, f"[features]\n{text}\n"))
    assert "s3cret" not in str(told.value)


def test_a_table(tmp_path: Path) -> None:
    """[features] is a table."""
    with pytest.raises(ConfigError, match=r"\[features\] must be a table"):
        written(tmp_path, 'features = "redis://h"\n')


@pytest.mark.parametrize(
    ("missing", "work", "extra"),
    [
        ("lmdb", "store = online_store('lmdb:' + sys.argv[1], 'lake', Config()); store.spaces()", "dataplat[features]"),
        ("redis", "store = online_store('redis://127.0.0.1:9', 'lake', Config()); store.spaces()", "dataplat[redis]"),
        ("hiredis", "store = online_store('redis://127.0.0.1:9', 'lake', Config()); store.spaces()", "dataplat[redis]"),
    ],
)
def test_a_client_that_is_not_installed(tmp_path: Path, missing: str, work: str, extra: str) -> None:
    """A missing client is told with the extra that brings it, not before it is needed."""
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from dataplat.config import Config\n"
        "from dataplat.errors import MissingExtra\n"
        "from dataplat.feature_store.online.connect import online_store\n"
        f"try:\n    {work}\nexcept MissingExtra as error:\n    print(error)\n"
    )
    done: Any = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert extra in done.stdout
