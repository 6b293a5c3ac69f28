"""Who may read: TLS, logins and rights of a real broker, by either client."""

from __future__ import annotations

import os
import time

import pytest

import dataplat as dp
from servers import KafkaServer, Message
from servers.kafka import ADMIN, STRANGER

pytestmark = pytest.mark.slow

SECRET = "planted-passw0rd"


@pytest.fixture
def lake(tmp_path):
    """Return a lake on the disk."""
    return dp.open(tmp_path / "lake")


@pytest.fixture(params=["kafka-python", "confluent"])
def client(request):
    """Name each client library."""
    return request.param


@pytest.fixture
def topic(kafka_server):
    """Return a topic of three records."""
    made = kafka_server.new_topic()
    made.produce([Message(b'{"n": %d}' % n) for n in range(3)])
    return made


@pytest.fixture
def passwords(monkeypatch):
    """Put the passwords where references find them."""
    for user in (ADMIN, STRANGER):
        monkeypatch.setenv(f"PASSWORD_{user.name.upper()}", user.password)
    monkeypatch.setenv("PASSWORD_WRONG", SECRET)


def url(server: KafkaServer, protocol: str, topic) -> str:
    """Return where a topic is at another listener."""
    return f"kafka://{server.address(protocol)}/{topic.name}"


def by(user=ADMIN, mechanism="PLAIN", security="SASL_PLAINTEXT", **more):
    """Return settings of one who logs in."""
    reference = f"env:PASSWORD_{user.name.upper()}"
    return {"security": security, "mechanism": mechanism, "username": user.name, "password": reference, **more}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
@pytest.mark.parametrize("security", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_login(kafka_server, lake, client, topic, passwords, mechanism, security):
    """By name and password, shown or proven, in the clear or by TLS: the records land."""
    tls = {"ca_bundle": str(kafka_server.ca)} if security == "SASL_SSL" else {}
    options = by(ADMIN, mechanism, security, **tls)
    assert lake.ingest(url(kafka_server, security, topic), "e", client=client, options=options).rows_added == 3


def test_a_longer_digest(kafka_server, lake, client, topic, passwords):
    """By SCRAM-SHA-512, too."""
    options = by(ADMIN, "SCRAM-SHA-512", "SASL_SSL", ca_bundle=str(kafka_server.ca))
    assert lake.ingest(url(kafka_server, "SASL_SSL", topic), "e", client=client, options=options).rows_added == 3


def test_a_certificate_of_ours(kafka_server, lake, client, topic):
    """Where the broker wants a certificate, it is shown; without one the error says what is missing."""
    options = {"ca_bundle": str(kafka_server.ca)}
    error, seconds = refused(kafka_server, lake, client, topic, "MUTUAL", options)
    assert "wants one" in str(error)
    assert "`certificate` and `key`" in str(error)
    assert seconds < 30
    folder = kafka_server.folder
    options |= {"certificate": str(folder / "client.pem"), "key": str(folder / "client-key.pem")}
    assert lake.ingest(url(kafka_server, "MUTUAL", topic), "e", client=client, options=options).rows_added == 3


def test_settings_of_a_file(kafka_server, lake, client, topic, passwords, tmp_path, monkeypatch):
    """The table of dataplat.toml that names the broker counts; a path in it is relative to it."""
    (tmp_path / "ca.pem").write_bytes(kafka_server.ca.read_bytes())
    (tmp_path / "dataplat.toml").write_text(
        f'[kafka."{kafka_server.address("SASL_SSL")}"]\nusername = "{ADMIN.name}"\npassword = "env:PASSWORD_ADMIN"\n'
        'ca_bundle = "ca.pem"\n'
    )
    monkeypatch.chdir(tmp_path)
    assert lake.ingest(url(kafka_server, "SASL_SSL", topic), "e", client=client).rows_added == 3


def test_tls(kafka_server, lake, client, topic):
    """By TLS alone, where the authority is known."""
    options = {"ca_bundle": str(kafka_server.ca)}
    assert lake.ingest(url(kafka_server, "SSL", topic), "e", client=client, options=options).rows_added == 3


def test_tls_that_trusts_everybody(kafka_server, lake, client, topic):
    """Where verify_tls is false any certificate does."""
    options = {"security": "SSL", "verify_tls": False}
    assert lake.ingest(url(kafka_server, "SSL", topic), "e", client=client, options=options).rows_added == 3


def refused(kafka_server, lake, client, topic, protocol, options):
    """Return the error, and how many seconds it took."""
    began = time.monotonic()
    with pytest.raises(dp.SourceError) as found:
        lake.ingest(url(kafka_server, protocol, topic), "e", client=client, options=options)
    assert SECRET not in str(found.value) + repr(found.value)
    return found.value, time.monotonic() - began


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
@pytest.mark.parametrize("security", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_wrong_password(kafka_server, lake, client, topic, passwords, mechanism, security, caplog):
    """It is said to be wrong within ten seconds, and is itself in no message and no log."""
    caplog.set_level(0)
    tls = {"ca_bundle": str(kafka_server.ca)} if security == "SASL_SSL" else {}
    options = by(ADMIN, mechanism, security, **tls) | {"password": "env:PASSWORD_WRONG"}
    error, seconds = refused(kafka_server, lake, client, topic, security, options)
    assert "refuses the user name or password" in str(error)
    assert seconds < 30
    assert SECRET not in caplog.text


def test_an_unknown_authority(kafka_server, lake, client, topic):
    """A certificate that nobody vouches for is refused at once, and the setting is named."""
    error, seconds = refused(kafka_server, lake, client, topic, "SSL", {"security": "SSL"})
    assert "not trusted" in str(error)
    assert "ca_bundle" in str(error)
    assert seconds < 30


@pytest.mark.parametrize(
    ("spoken", "listener"),
    [
        ("PLAINTEXT", "SSL"),
        ("PLAINTEXT", "SASL_PLAINTEXT"),
        ("PLAINTEXT", "SASL_SSL"),
        ("SSL", "PLAINTEXT"),
        ("SSL", "SASL_SSL"),
        ("SASL_PLAINTEXT", "PLAINTEXT"),
        ("SASL_PLAINTEXT", "SASL_SSL"),
        ("SASL_SSL", "SSL"),
        ("SASL_SSL", "SASL_PLAINTEXT"),
    ],
)
def test_another_kind_of_listener(kafka_server, lake, client, topic, passwords, spoken, listener):
    """A port that is of another kind than the settings say is told within ten seconds, with the setting to change."""
    options = by(security=spoken) if "SASL" in spoken else {"security": spoken}
    if spoken.endswith("SSL"):
        options["ca_bundle"] = str(kafka_server.ca)
    error, seconds = refused(kafka_server, lake, client, topic, listener, options)
    assert f"is spoken to by {spoken}, and cannot be" in str(error)
    assert seconds < 30


def test_a_mechanism_that_the_broker_does_not_take(kafka_server, lake, client, topic, passwords):
    """The error says which there are."""
    options = by(mechanism="SCRAM-SHA-512")
    error, _ = refused(kafka_server, lake, client, topic, "SASL_PLAINTEXT", options)
    assert "does not take SCRAM-SHA-512, but" in str(error)
    assert "SCRAM-SHA-256" in str(error)


def test_no_right_to_read(kafka_server, lake, client, topic, passwords):
    """Who may see a topic and not read it is denied, with the right that it needs; with it, the records land."""
    kafka_server.allow(STRANGER, "DESCRIBE", topic)
    error, seconds = refused(kafka_server, lake, client, topic, "SASL_PLAINTEXT", by(STRANGER))
    assert "access denied" in str(error)
    assert "READ" in str(error)
    assert seconds < 30
    kafka_server.allow(STRANGER, "READ", topic)
    where = url(kafka_server, "SASL_PLAINTEXT", topic)
    assert lake.ingest(where, "e", client=client, options=by(STRANGER)).rows_added == 3


def test_no_right_to_see(kafka_server, lake, client, topic, passwords):
    """Who may not even see a topic is told that it is not there, or not for this user."""
    user = kafka_server.new_user()
    os.environ["PASSWORD_WRONG"] = user.password  # of this test: the fixture takes it back
    options = by(user, "SCRAM-SHA-256") | {"password": "env:PASSWORD_WRONG"}
    error, _ = refused(kafka_server, lake, client, topic, "SASL_PLAINTEXT", options)
    assert "does not let this user see it" in str(error) or "access denied" in str(error)


def test_no_secret_stays(kafka_server, lake, client, topic, passwords, tmp_path, caplog):
    """After an ingest the password is in no file of the lake, no log, and no repr of what was asked for."""
    from dataplat.ingest._request import request_of

    caplog.set_level(0)
    where, options = url(kafka_server, "SASL_PLAINTEXT", topic), by()
    lake.ingest(where, "e", client=client, options=options)
    files = [path for path in (tmp_path / "lake").rglob("*") if path.is_file()]
    assert len(files) > 3
    assert not [path for path in files if ADMIN.password.encode() in path.read_bytes()]
    assert ADMIN.password not in caplog.text
    assert "PASSWORD_ADMIN" not in repr(request_of(where, "e", options=options))


def test_no_such_host(lake, client):
    """A name that nobody knows is one clear error within the time-out."""
    began = time.monotonic()
    with pytest.raises(dp.SourceUnreachable, match="no broker at nowhere.invalid:9092 answers"):
        lake.ingest("kafka://nowhere.invalid:9092/events", "e", client=client, timeout=2)
    assert time.monotonic() - began < 15


def test_a_second_broker(kafka_server, lake, client, topic):
    """Where the first of the brokers named is not there, the next one is asked."""
    where = f"kafka://127.0.0.1:1,{kafka_server.bootstrap}/{topic.name}"
    assert lake.ingest(where, "e", client=client).rows_added == 3
