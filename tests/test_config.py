"""Settings: where they come from, which wins, and that secrets stay secret."""

import os
from pathlib import Path

import pytest

from dataplat.config import Config, Secret, find_lake, find_upward, load
from dataplat.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    """Write a dataplat.toml into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dataplat.toml"
    path.write_text(text, "utf-8")
    return path


def test_defaults_without_a_file(tmp_path):
    """Where nothing is configured the branch is main and there is no lake."""
    assert load(tmp_path, environ={}) == Config(lake=None, branch="main", author=None)


def test_file_is_found_upward(tmp_path):
    """The nearest dataplat.toml at or above the folder counts."""
    write(tmp_path, 'branch = "far"')
    path = write(tmp_path / "a", 'branch = "near"')
    (tmp_path / "a" / "b").mkdir()
    found = load(tmp_path / "a" / "b", environ={})
    assert (found.branch, found.source) == ("near", path)


def test_flag_beats_environment_beats_file(tmp_path):
    """A flag wins over DATAPLAT_…, which wins over the file; None and an empty variable are not given."""
    write(tmp_path, 'branch = "file"\nauthor = "file"')
    environ = {"DATAPLAT_BRANCH": "environment", "DATAPLAT_AUTHOR": ""}
    assert load(tmp_path, environ).branch == "environment"
    assert load(tmp_path, environ, {"branch": "flag"}).branch == "flag"
    assert load(tmp_path, environ, {"branch": None}).branch == "environment"
    assert load(tmp_path, environ).author == "file"


def test_environment_of_the_process_is_the_default(tmp_path, monkeypatch):
    """Without an environment given, this process's counts."""
    monkeypatch.setenv("DATAPLAT_LAKE", "memory://x")
    assert load(tmp_path).lake == "memory://x"


def test_lake_in_a_file_is_relative_to_the_file(tmp_path):
    """A relative lake means the folder beside the file, wherever the command runs; a URL stays."""
    write(tmp_path, 'lake = "data/lake"')
    (tmp_path / "deep").mkdir()
    assert load(tmp_path / "deep", environ={}).lake == str(tmp_path / "data/lake")
    write(tmp_path, 'lake = "memory://x"')
    assert load(tmp_path, environ={}).lake == "memory://x"


def test_lake_is_found_upward_like_a_git_folder(tmp_path):
    """A .dataplat with a lake.json in a folder above is the lake; a .dataplat without one is none."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / ".dataplat").mkdir()
    (tmp_path / ".dataplat").mkdir()
    (tmp_path / ".dataplat" / "lake.json").write_text("{}")
    assert find_lake(tmp_path / "a" / "b", Config()) == str(tmp_path / ".dataplat")
    assert find_lake(tmp_path / "a" / "b", Config(lake="memory://x")) == "memory://x"


def test_no_lake_is_none(tmp_path):
    """Where there is none, None is returned and not the nearest guess."""
    assert find_upward(tmp_path, "no-such-name-anywhere") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('brnach = "x"', "did you mean 'branch'"),
        ("zzz = 1", "known are lake, branch, author, compact, trust_contracts, cache_size, secrets, stores"),
        ("trust_contracts = 1", "must be true or false"),
        ("branch = 1", "branch must be a text"),
        ('branch = ""', "branch must be a text"),
        ("branch = ", "cannot be read as TOML"),
        ("secrets = 1", r"\[secrets\] must be a table"),
        ('[secrets]\npw = "hunter2"', "never by value"),
        ('[secrets]\npw = "env:"', "never by value"),
    ],
)
def test_a_wrong_file_is_refused_with_its_path(tmp_path, text, message):
    """Unknown settings, wrong types and secrets by value are errors that name the file and what is right."""
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, environ={})
    assert str(path) in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_secrets_are_read_late_and_in_no_repr(tmp_path, monkeypatch):
    """A secret is looked up when asked for, from the environment or a file, and never printed."""
    (tmp_path / "key").write_text("s3cret\n")
    monkeypatch.delenv("DP_TEST_SECRET", raising=False)
    write(tmp_path, f'[secrets]\na = "env:DP_TEST_SECRET"\nb = "file:{tmp_path}/key"')
    config = load(tmp_path, environ={})
    monkeypatch.setenv("DP_TEST_SECRET", "hunter2")
    assert config.secret("a").reveal() == "hunter2"
    assert config.secret("b").reveal() == "s3cret"
    assert not {"hunter2", "s3cret", "DP_TEST_SECRET"} & set(repr(config).replace("'", " ").split())


def test_a_secret_that_is_not_there_says_where_it_was_sought(tmp_path, monkeypatch):
    """Missing variables, files and names are errors that name what is missing."""
    monkeypatch.delenv("DP_TEST_SECRET", raising=False)
    with pytest.raises(ConfigError, match="DP_TEST_SECRET is not set"):
        Secret("env:DP_TEST_SECRET", "a").reveal()
    with pytest.raises(ConfigError, match="cannot read"):
        Secret(f"file:{tmp_path}/none", "b").reveal()
    with pytest.raises(ConfigError, match="no secret 'c'"):
        Config().secret("c")


def test_config_holds_no_secret_from_the_environment(tmp_path):
    """Only the settings with a name are read from DATAPLAT_…, so that a repr shows nothing else."""
    config = load(tmp_path, environ={"DATAPLAT_PASSWORD": "hunter2", **os.environ})
    assert "hunter2" not in repr(config)


def test_trust_in_contracts_is_given_by_file_or_variable(tmp_path):
    """Code in lakes elsewhere is run only if the file or the environment says so; the environment wins."""
    assert not load(tmp_path, environ={}).trust_contracts
    write(tmp_path, "trust_contracts = true")
    assert load(tmp_path, environ={}).trust_contracts
    assert not load(tmp_path, environ={"DATAPLAT_TRUST_CONTRACTS": "0"}).trust_contracts
    with pytest.raises(ConfigError, match="must be 1 or 0"):
        load(tmp_path, environ={"DATAPLAT_TRUST_CONTRACTS": "maybe"})


@pytest.mark.parametrize(("given", "size"), [("0", 0), ("1500", 1500), ('"20 GB"', 20 * 10**9), ('"1.5MB"', 1_500_000)])
def test_the_size_of_the_cache_is_bytes_or_a_text(tmp_path, given, size):
    """A bound is a number of bytes or a text with a unit; the environment comes before the file."""
    write(tmp_path, f"cache_size = {given}")
    assert load(tmp_path, environ={}).cache_size == size
    assert load(tmp_path, environ={"DATAPLAT_CACHE_SIZE": "3 kB"}).cache_size == 3000


@pytest.mark.parametrize("given", ["-1", '"much"', "true", "[1]", '"1 PB"'])
def test_a_wrong_size_of_the_cache_is_said(tmp_path, given):
    """What is no size is a ConfigError."""
    write(tmp_path, f"cache_size = {given}")
    with pytest.raises(ConfigError, match=r"cache_size must be a number of bytes"):
        load(tmp_path, environ={})
