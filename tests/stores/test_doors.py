"""The ways into a lake on a real server: open, init, doctor; what is wrong is said at once, and where."""

import json
import re
import sys
import time

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.cli import main
from dataplat.errors import ConfigError, LakeNotFound, MissingExtra, StoreError, StoreTimeout
from dataplat.lake.stores import open_store
from dataplat.lake.stores._reach import FIRST

CHAIN = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL", "DATAPLAT_LAKE")


@pytest.fixture
def s3(s3_server, monkeypatch, tmp_path):
    """Return a server that AWS's own chain finds, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in CHAIN:
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("NO_COLOR", "1")
    return s3_server


def run(capsys, *words, code=0):
    """Run a command line, hold its exit code, and return what it printed."""
    ended = main(list(words))
    out, err = capsys.readouterr()
    assert ended == code, err or out
    return out + err


def test_a_lake_opens_by_the_chain_by_options_and_by_the_file(s3, monkeypatch, tmp_path):
    """The same lake is found with nothing but AWS's variables, with options, and with a table of dataplat.toml."""
    url = f"s3://{s3.new_bucket()}/team/lake"
    made = dp.open(url)
    assert dp.open(url, create=False).id == made.id
    for name in s3.environment():
        monkeypatch.delenv(name)
    monkeypatch.setenv("ITS_KEY", s3.access_key)
    (tmp_path / "secret").write_text(s3.secret_key + "\n")
    options = {"endpoint_url": s3.url, "region": s3.region, "key": "env:ITS_KEY", "secret": f"file:{tmp_path}/secret"}
    assert dp.open(url, create=False, options=options).id == made.id
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in options.items())
    (tmp_path / "dataplat.toml").write_text(f'[stores."s3://"]\n{lines}\n')
    assert dp.open(url, create=False).id == made.id
    copy = dp.clone(url, "copy")  # by the same settings, as is what goes on
    assert copy.push(url).commits == 0
    assert copy.pull(url).commits == 0
    assert copy.verify(repair_from=url).ok


def test_what_is_wrong_is_said_at_once(s3, monkeypatch):
    """A bucket that is not there, a wrong key, a wrong secret, none, and no access: no retry, one clear error."""
    url = f"s3://{s3.new_bucket()}/lake"
    monkeypatch.setenv("WRONG", "not-the-right-one")
    monkeypatch.setenv("ITS_KEY", s3.access_key)
    started = time.monotonic()
    with pytest.raises(LakeNotFound, match=url):
        dp.open(url, create=False)
    with pytest.raises(StoreError, match="there is no such bucket: create it, or correct the URL"):
        dp.open("s3://no-such-bucket-here/lake")
    with pytest.raises(StoreError, match="the secret does not belong to the access key"):
        dp.open(url, options={"key": "env:ITS_KEY", "secret": "env:WRONG"})
    with pytest.raises(StoreError, match="does not know this access key"):
        dp.open(url, options={"key": "env:WRONG", "secret": "env:WRONG"})
    with pytest.raises(StoreError, match="access denied"):
        dp.open(url, options={"anonymous": True})
    with pytest.raises(ConfigError, match="the environment variable NOT_SET is not set"):
        dp.open(url, options={"key": "env:NOT_SET", "secret": "env:WRONG"})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigError, match="Set AWS_ACCESS_KEY_ID"):
        dp.open(url)
    assert time.monotonic() - started < FIRST


@pytest.mark.slow
def test_a_server_that_is_not_there_is_one_error_in_time(s3):
    """Nobody listens: within 15 s there is one error with the address and the system's own words."""
    started = time.monotonic()
    with pytest.raises(StoreTimeout, match=r"127\.0\.0\.1:9, which never answered") as raised:
        dp.open("s3://bucket/lake", options={"endpoint_url": "http://127.0.0.1:9"})
    assert time.monotonic() - started < FIRST + 3  # of a loaded machine
    assert "refused" in str(raised.value)
    assert s3.access_key not in str(raised.value)


@pytest.mark.slow
def test_a_server_that_says_nothing_is_one_error_in_time(s3, monkeypatch):
    """One that takes the connection and never answers is given up as soon, whatever the time-out of one request."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        started = time.monotonic()
        options = {"endpoint_url": f"http://127.0.0.1:{deaf.getsockname()[1]}", "timeout": 3, "retry_budget": 4}
        with pytest.raises(StoreTimeout, match="which never answered"):
            dp.open("s3://bucket/lake", options=options)
        assert time.monotonic() - started < FIRST


def test_init_shows_what_it_tried(s3, capsys):
    """The race, reading back, listing and ranges are a table with counts and times, and in JSON; a second init is none."""
    url = f"s3://{s3.new_bucket()}/lake"
    shown = run(capsys, "init", url)
    assert "1 of 16 racers won 3 times" in shown
    assert f"at {url}" in shown
    assert "there is a lake already" in run(capsys, "init", url)
    found = json.loads(run(capsys, "init", f"{url}2", "--json"))
    assert found["created"]
    assert found["probe"]["checks"][0]["name"] == "create if absent"
    assert not list(open_store(url).list("probe/"))


def test_the_doctor_finds_a_lake_well(s3, capsys):
    """All checks, latencies and throughput of a lake on a server, as text and JSON; nothing stays behind."""
    url = f"s3://{s3.new_bucket()}/lake"
    lake = dp.open(url)
    before = {entry.key for entry in lake.store.list("")}
    shown = run(capsys, "doctor", url)
    for word in (
        "create if absent",
        "the environment (AWS_ACCESS_KEY_ID)",
        "none: the endpoint is http://",
        "s3fs",
        "MB/s up",
    ):
        assert word in shown
    assert "store's clock" in shown
    found = json.loads(run(capsys, "doctor", "--lake", url, "--json"))
    assert found["ok"]
    assert [latency["operation"] for latency in found["measures"]["latencies"]] == ["create", "read", "list"]
    assert abs(found["measures"]["clock"]) < 60
    assert {entry.key for entry in lake.store.list("")} == before
    assert lake.doctor().ok
    assert s3.secret_key not in shown + json.dumps(found)
    assert s3.access_key not in shown + json.dumps(found)


def test_the_doctor_says_that_no_copies_can_be_kept(s3, capsys, monkeypatch, tmp_path):
    """A cache that cannot be written slows everything down and breaks nothing, so only a doctor tells."""
    url = f"s3://{s3.new_bucket()}/lake"
    dp.open(url)
    (tmp_path / "taken").write_text("a file, where the cache would be a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    assert re.search(r"cache +warning +nothing can be kept in .*: Not a directory", run(capsys, "doctor", url))


def test_the_doctor_says_what_is_wrong(s3, capsys, monkeypatch):
    """A lake that cannot be opened ends with 1, the reason, and what it was looked for with."""
    planted = "PLANTED"
    shown = run(capsys, "doctor", "s3://no-such-bucket-here/lake", code=1)
    assert "there is no such bucket" in shown
    assert "AWS_ACCESS_KEY_ID" in shown
    found = json.loads(run(capsys, "doctor", f"s3://key:{planted}@bucket/lake", "--json", code=1))
    assert not found["ok"]
    assert planted not in json.dumps(found)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "failed" in run(capsys, "doctor", "s3://bucket/lake", code=1)


def test_the_doctor_of_a_folder(s3, capsys, tmp_path):
    """A local lake is tried and measured, too, and the room on its disk is told."""
    run(capsys, "init", "lake")
    shown = run(capsys, "doctor", "lake")
    assert "free on disk" in shown
    assert "credentials" not in shown
    assert not list((tmp_path / "lake").glob("probe/*"))


def test_a_server_of_another_kind_is_no_place_without_a_lake(s3, gcs_server, capsys, monkeypatch):
    """What answers 404 to everything is not where one is told to make a lake."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", gcs_server.url)
    assert "what answers there is no S3: correct `endpoint_url`" in run(
        capsys, "version", "list", "--lake", "s3://no-bucket/lake", code=5
    )


def test_init_and_doctor_on_gcs(gcs_server, capsys, tmp_path, monkeypatch):
    """A bucket of GCS takes a lake, is found well, and one that is not there is said at once."""
    monkeypatch.chdir(tmp_path)
    bucket = gcs_server.new_bucket()
    assert "1 of 16 racers won 3 times" in run(capsys, "init", f"gs://{bucket}/lake")
    shown = run(capsys, "doctor", f"gs://{bucket}/lake")
    assert "gcsfs" in shown
    started = time.monotonic()
    assert "failed" in run(capsys, "doctor", "gs://no-such-bucket-here/lake", code=1)
    assert time.monotonic() - started < FIRST


def test_init_and_doctor_on_hdfs(hdfs_server, capsys, tmp_path, monkeypatch):
    """A folder of HDFS takes a lake and is found well."""
    monkeypatch.chdir(tmp_path)
    url = f"{hdfs_server.url}/{hdfs_server.new_folder().strip('/')}/lake"
    assert "1 of 16 racers won 3 times" in run(capsys, "init", url)
    shown = run(capsys, "doctor", url)
    assert "hdfs-native" in shown
    assert re.search(rf"endpoint +ok +{hdfs_server.host}:{hdfs_server.port}\n", shown)


@pytest.mark.parametrize(
    ("url", "client", "extra"),
    [("s3://bucket/x", "s3fs", "s3"), ("gs://bucket/x", "gcsfs", "gcs"), ("hdfs://h/x", "hdfs_native", "hdfs")],
)
def test_a_missing_client_names_the_extra(url, client, extra, monkeypatch):
    """Without the package the error says what to install."""
    for name in [client, *(name for name in sys.modules if name.startswith(f"{client}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=rf"dataplat\[{extra}\]"):
        dp.open(url, options={"timeout": 1} | ({"anonymous": True} if extra == "s3" else {}))


def test_a_shell_does_not_wait_for_a_server_that_is_silent(s3, monkeypatch):
    """Names are completed from a lake far away within seconds, or not at all; nothing is said."""
    import socket

    import click

    from dataplat.cli._options import complete_datasets

    url = f"s3://{s3.new_bucket()}/lake"
    context = click.Context(click.Command("x"))
    context.params["lake"] = url
    dp.open(url).ingest(pa.table({"a": [1]}), into="orders")
    assert [item.value for item in complete_datasets(context, None, "o")] == ["orders"]
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        started = time.monotonic()
        context.params["lake"] = url.replace("lake", "other", 1)
        assert complete_datasets(context, None, "") == []
        assert time.monotonic() - started < FIRST / 2
