"""No secret leaves: not into the lake, nor a log, an error, a repr, JSON, a traceback."""

import io
import json
import logging
import pickle
import traceback

import pytest

import dataplat as dp
from dataplat.cli import main
from dataplat.config import load
from dataplat.errors import DataplatError
from dataplat.lake.stores import open_store

PLANTED = {
    "AWS_ACCESS_KEY_ID": "AKPLANTEDKEYID00000",
    "AWS_SECRET_ACCESS_KEY": "planted+secret/0000000000000000000000000",
    "AWS_SESSION_TOKEN": "plantedtoken000000000000000000",
    "SAS": "sv=2026-01-01&sig=plantedsas0000000000",
}


def leaks(text, secrets):
    """Return the names of the planted secrets that stand in a text or in bytes."""
    data = text if isinstance(text, bytes) else text.encode()
    return [name for name, value in secrets.items() if value.encode() in data]


@pytest.fixture
def secrets(s3_server, monkeypatch, tmp_path):
    """Plant secrets: those that the server takes, and wrong ones; return them by name."""
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "DATAPLAT_LAKE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    right = {"RIGHT_KEY": s3_server.access_key, "RIGHT_SECRET": s3_server.secret_key}
    for name, value in {**right, **{f"WRONG_{name}": value for name, value in PLANTED.items()}}.items():
        monkeypatch.setenv(name, value)
    return {**right, **PLANTED}


@pytest.fixture
def log():
    """Return what the whole process logs, dataplat at DEBUG."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("dataplat")
    logging.getLogger().addHandler(handler)
    level, logger.level = logger.level, logging.DEBUG
    yield stream
    logger.level = level
    logging.getLogger().removeHandler(handler)


def configured(server, bucket, key="RIGHT_KEY", secret="RIGHT_SECRET", token=None):  # noqa: S107  (names of variables)
    """Return a dataplat.toml with secrets by reference."""
    lines = [f'lake = "s3://{bucket}/lake"', f'[stores."s3://{bucket}"]', f'endpoint_url = "{server.url}"']
    lines += ['region = "us-east-1"', f'key = "env:{key}"', f'secret = "env:{secret}"']
    return "\n".join(lines + ([f'token = "env:{token}"'] if token else [])) + "\n"


def test_a_day_with_a_lake_writes_no_secret_anywhere(s3_server, secrets, log, tmp_path, capsys):
    """Init, ingest, branch, sql, verify, doctor, clone: every byte of both lakes, of outputs and logs is searched."""
    bucket = s3_server.new_bucket()
    (tmp_path / "dataplat.toml").write_text(configured(s3_server, bucket))
    (tmp_path / "orders.csv").write_text("order,amount\n1,2.5\n2,3.5\nx,\n")
    commands = [
        "init --json",
        "ingest orders.csv --into orders --key order --json",
        "version branch create fix --json",
        "version tag v1 --json",
        "version log orders --json",
        "version show orders --json",
        "version verify --json",
        "doctor --json",
        f"version clone s3://{bucket}/lake copy --json",
        "version push copy --json",
    ]
    for words in commands:
        assert main(words.split()) == 0, capsys.readouterr()
        out, err = capsys.readouterr()
        assert not leaks(out + err, secrets), words
    held = 0
    for root in (s3_server.folder, tmp_path / "copy"):
        for path in (path for path in root.rglob("*") if path.is_file() and bucket in str(path) + bucket):
            if path.parent.name != "iam":
                assert not leaks(path.read_bytes(), secrets), path
                held += 1
    assert held > 10
    assert leaks(f"a text with {secrets['RIGHT_KEY']} in it", secrets) == ["RIGHT_KEY"]  # this test is not blind
    assert not leaks(log.getvalue(), secrets)


def test_what_is_shown_of_a_lake_holds_no_secret(s3_server, secrets):
    """Reprs of lake, store, wire and configuration, and their attributes as text, hold references at most."""
    bucket = s3_server.new_bucket()
    options = {
        "endpoint_url": s3_server.url,
        "region": "us-east-1",
        "key": "env:RIGHT_KEY",
        "secret": "env:RIGHT_SECRET",
    }
    lake = dp.open(f"s3://{bucket}/lake", options=options)
    store = lake.store
    seen = [repr(lake), lake._repr_html_(), str(lake.url), store.url("x")]  # type: ignore[attr-defined]
    while store is not None:
        seen += [repr(store), repr({name: value for name, value in vars(store).items() if name != "inner"})]
        wire = getattr(store, "wire", None)
        seen += [repr(wire), repr(getattr(wire, "__dict__", {}))]
        store = getattr(store, "inner", None)
    assert not leaks("\n".join(seen), secrets)


@pytest.mark.parametrize("wrong", ["key", "secret", "token", "bucket", "endpoint"])
def test_no_failure_shows_a_secret(s3_server, secrets, log, tmp_path, capsys, wrong):
    """Refused, missing or unreachable: message, whole traceback, JSON error and log have no secret in them."""
    bucket = s3_server.new_bucket()
    text = {
        "key": configured(s3_server, bucket, key="WRONG_AWS_ACCESS_KEY_ID"),
        "secret": configured(s3_server, bucket, secret="WRONG_AWS_SECRET_ACCESS_KEY"),
        "token": configured(s3_server, bucket, "WRONG_AWS_ACCESS_KEY_ID", token="WRONG_AWS_SESSION_TOKEN"),
        "bucket": configured(s3_server, "no-such-bucket-here"),
        "endpoint": configured(s3_server, bucket).replace(s3_server.url, "http://127.0.0.1:9") + "retry_budget = 1\n",
    }[wrong]
    (tmp_path / "dataplat.toml").write_text(text)
    lake = load(tmp_path).lake
    with pytest.raises(DataplatError) as raised:
        dp.open(lake)
    whole = "".join(traceback.format_exception(raised.value))
    assert not leaks(whole, secrets)
    assert not leaks(repr(raised.value), secrets)
    assert main(["version", "list", "--json"]) in {2, 3, 5}
    out, err = capsys.readouterr()
    assert json.loads(err)["message"]
    assert main(["doctor", "--json"]) == 1
    assert not leaks(out + err + "".join(capsys.readouterr()) + log.getvalue(), secrets)


@pytest.mark.parametrize(
    "url",
    ["s3://{AWS_ACCESS_KEY_ID}:{AWS_SECRET_ACCESS_KEY}@bucket/lake", "s3://bucket/lake?{SAS}", "https://host/c?{SAS}"],
)
def test_a_url_with_secrets_is_refused_and_not_repeated(url, secrets, log, tmp_path, capsys):
    """Keys before an @ and signatures behind a ? are in no message of any command, though they were typed."""
    url = url.format(**PLANTED)
    for words in (
        ["init", url],
        ["version", "list", "--lake", url],
        ["doctor", url],
        ["version", "clone", url, "copy"],
    ):
        assert main([*words, "--json"]) in {1, 2}
    assert not leaks("".join(capsys.readouterr()) + log.getvalue(), secrets)
    with pytest.raises(DataplatError) as raised:
        open_store(url)
    assert not leaks(str(raised.value), secrets)


def test_bare_secrets_are_refused_and_not_repeated(secrets, tmp_path, capsys):
    """A value where a reference belongs ends with an error that names the setting and not the value."""
    for name in ("key", "secret", "token"):
        lines = f'lake = "s3://bucket/lake"\n[stores."s3://bucket"]\n{name} = "{PLANTED["AWS_SECRET_ACCESS_KEY"]}"\n'
        (tmp_path / "dataplat.toml").write_text(lines)
        assert main(["version", "list"]) == 2
        shown = "".join(capsys.readouterr())
        assert name in shown
        assert not leaks(shown + repr(load(tmp_path)), secrets)


def test_settings_travel_as_references(s3_server, secrets):
    """What is handed to another process is the reference, so a pickle of the settings holds no secret."""
    store = open_store("s3://bucket/lake", {"key": "env:RIGHT_KEY", "secret": "env:RIGHT_SECRET"})
    held = pickle.dumps(dict(store.inner.inner.settings))
    assert not leaks(held, secrets)
