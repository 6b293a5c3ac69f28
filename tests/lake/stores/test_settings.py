"""Settings of a store: the longest prefix wins, every mistake is named, and secrets are references."""

import pytest

from dataplat.config import Secret, load
from dataplat.errors import ConfigError
from dataplat.lake.stores import open_store
from dataplat.lake.stores._settings import settings_of

PLANTED = "wJalrXUtnFEMI/PLANTED/bPxRfiCY"


def config(folder, text):
    """Return the configuration of a dataplat.toml with `text`."""
    (folder / "dataplat.toml").write_text(text, "utf-8")
    return load(folder, environ={})


TABLES = """
[stores."s3://"]
region = "everywhere"
[stores."s3://data"]
region = "eu-central-1"
timeout = 5
[stores."s3://data/team"]
storage_class = "STANDARD_IA"
[stores."gcs://data/"]
project = "p"
[stores."hdfs://node:8020"]
user = "ada"
properties = { "dfs.client.failover" = true, "dfs.size" = 3 }
"""


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("s3://data", {"region": "eu-central-1", "timeout": 5.0}),
        ("s3://data/lake", {"region": "eu-central-1", "timeout": 5.0}),
        ("s3://data/team", {"storage_class": "STANDARD_IA"}),
        ("s3://data/team/lake/", {"storage_class": "STANDARD_IA"}),
        ("S3://data/teams", {"region": "eu-central-1", "timeout": 5.0}),
        ("s3://database", {"region": "everywhere"}),
        ("gs://data/x", {"project": "p"}),
        ("hdfs://node:8020/x", {"user": "ada", "properties": {"dfs.client.failover": "true", "dfs.size": "3"}}),
        ("hdfs://node:9000/x", {}),
    ],
)
def test_the_longest_prefix_wins(tmp_path, url, found):
    """Of the tables the one with the longest URL counts, by whole segments; the others say nothing of it."""
    assert settings_of(url, config=config(tmp_path, TABLES)) == found


def test_options_come_before_the_file(tmp_path):
    """What is given in Python wins key by key; the rest is as configured."""
    found = settings_of("s3://data/x", {"region": "us-east-1"}, config(tmp_path, TABLES))
    assert found == {"region": "us-east-1", "timeout": 5.0}


def test_paths_are_relative_to_the_file(tmp_path):
    """A CA bundle beside dataplat.toml is found from any folder."""
    found = settings_of("s3://data", config=config(tmp_path, '[stores."s3://data"]\nca_bundle = "ca.pem"'))
    assert found["ca_bundle"] == str(tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"regoin": "x"}, "unknown setting 'regoin'; did you mean 'region'"),
        ({"zzz": "x"}, "known are endpoint_url, region"),
        ({"region": 3}, "region must be a text, and is int 3"),
        ({"anonymous": "yes"}, "anonymous must be true or false, and is a str"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0, and is int 0"),
        ({"timeout": True}, "timeout must be a number of seconds"),
        ({"retry_budget": "1m"}, "retry_budget must be a number of seconds above 0, and is a str"),
        ({"key": PLANTED}, "key: a secret is given by reference"),
        ({"key": 7}, "key must be a reference"),
        ({"key": "env:KEY"}, "`key` and `secret` belong together"),
        ({"token": "env:TOKEN"}, "a `token` needs its `key`"),
        ({"anonymous": True, "profile": "x"}, "`anonymous` takes no credentials"),
        ({"verify_tls": False, "ca_bundle": "x"}, "ignores `ca_bundle`"),
        ({"endpoint_url": "localhost:9000"}, "begins with https://"),
        ({"endpoint_url": f"https://key:{PLANTED}@host"}, "without credentials or a query"),
        ({"endpoint_url": f"https://host?sig={PLANTED}"}, "without credentials or a query"),
        ({"user": "x"}, "unknown setting 'user'"),
    ],
)
def test_every_mistake_is_named_and_no_value_shown(options, told):
    """An unknown key, a wrong type, a bare secret and what contradicts itself are refused, wherever they come from."""
    with pytest.raises(ConfigError, match=told) as raised:
        open_store("s3://bucket/lake", options)
    assert "PLANTED" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stores = 3", "stores are tables"),
        ('stores."s3://x" = "y"', "stores are tables"),
        ('[stores."s3://bucket"]\nregion = 3', r'dataplat.toml: \[stores."s3://bucket"\]: region must be a text'),
        (f'[stores."s3://bucket"]\nsecret = "{PLANTED}"', "a secret is given by reference"),
        (f'[stores."s3://k:{PLANTED}@bucket"]\nregion = "x"', "a URL carries no credentials"),
        ('[stores."data/lake"]\ntimeout = 3', "names a place that takes no settings"),
        ('[stors."s3://x"]', "did you mean 'stores'"),
    ],
)
def test_mistakes_in_the_file_name_the_file(tmp_path, text, told):
    """The message says which file and table, and shows no secret."""
    with pytest.raises(ConfigError, match=told) as raised:
        settings_of("s3://another", config=config(tmp_path, text))
    assert "PLANTED" not in str(raised.value)
    assert "dataplat.toml" in str(raised.value)


def test_tables_are_in_no_repr(tmp_path):
    """A bare secret that stands in the file is not shown by the configuration either, nor is what a reference names."""
    found = config(tmp_path, f'[stores."s3://bucket"]\nsecret = "{PLANTED}"')
    assert PLANTED not in repr(found)
    settings = settings_of("s3://b", {"key": "env:NAME_OF_KEY", "secret": "file:/place"})
    assert isinstance(settings["key"], Secret)
    assert "NAME_OF_KEY" not in repr(settings)


@pytest.mark.parametrize("url", ["data/lake", "file:///data/lake", "memory://x"])
def test_a_folder_takes_no_options(url):
    """Options where nothing takes them are a mistake."""
    with pytest.raises(ConfigError, match="options are for stores over a network"):
        open_store(url, {"region": "x"})


@pytest.mark.parametrize(
    "url",
    [
        f"s3://key:{PLANTED}@bucket/lake",
        f"s3://{PLANTED}@bucket/lake",
        f"s3://key:{PLANTED}@bucket",
        f"gs://token:{PLANTED}@bucket",
        f"hdfs://ada:{PLANTED}@node:8020/lake",
        "s3://bucket/lake?X-Amz-Signature=PLANTED",
        "gs://PLANTED",
        f"S4://key:{PLANTED}@bucket",
        "https://host/x?sig=PLANTED",
        f"file://ada:{PLANTED}@host/x",
        "s3://PLANTED:x",
    ],
)
def test_urls_carry_no_credentials_and_none_are_echoed(url):
    """A URL with credentials, or with what may be some, is refused without being shown."""
    with pytest.raises(ConfigError) as raised:
        open_store(url)
    assert "PLANTED" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///x",
        "s3://b",
        "s3://Bucket",
        "s3://bucket/a//b",
        "s3://bucket/../x",
        "gs://bucket/é",
        "hdfs://a b/x",
    ],
)
def test_wrong_urls_say_what_a_right_one_is(url):
    """A URL that no bucket or host can have is refused before anything is sent."""
    with pytest.raises(ConfigError, match=r"BUCKET/PREFIX|the path of|HOST:PORT"):
        open_store(url)


def test_good_urls_open_without_a_client(tmp_path, monkeypatch):
    """Opening connects to nothing, and the store says where it lies."""
    monkeypatch.chdir(tmp_path)
    for url in ("s3://bucket", "s3://my.bucket-1/a/b c@d/", "S3://bucket/x"):
        assert "s3://" in repr(open_store(url))


def test_tls_that_is_not_verified_is_warned_of_once(caplog):
    """Who turns the verification off is told in the log, which is printed where no log is set up."""
    for _ in range(2):
        open_store("s3://unverified-bucket", {"verify_tls": False})
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "not verified" in caplog.text
