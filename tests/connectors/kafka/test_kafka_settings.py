"""Settings of a cluster: where they come from, what is refused, and what the libraries are told."""

from __future__ import annotations

import pytest

from dataplat.config import Secret, load
from dataplat.connectors.kafka import locate
from dataplat.connectors.kafka._open import for_kafka_python, for_librdkafka
from dataplat.connectors.kafka._settings import Settings, settings_of
from dataplat.errors import ConfigError

HERE = locate("kafka://a:9092,b:9093/t")
LOGIN = {"username": "me", "password": "env:PW"}


def written(tmp_path, text):
    """Return the configuration of a file."""
    (tmp_path / "dataplat.toml").write_text(text, "utf-8")
    return load(tmp_path, {})


def test_nothing_said(tmp_path):
    """With nothing said a cluster is reached in the clear, as nobody."""
    assert settings_of(HERE, None, load(tmp_path, {})) == Settings()


def test_of_the_first_broker_that_has_some(tmp_path):
    """Of several brokers the first counts that has a table, and paths are relative to the file."""
    config = written(tmp_path, '[kafka."b:9093"]\nca_bundle = "ca.pem"\n[kafka."c:1"]\nsecurity = "PLAINTEXT"\n')
    assert settings_of(HERE, None, config) == Settings("SSL", ca_bundle=str(tmp_path / "ca.pem"))


def test_options_come_first(tmp_path):
    """What is given by hand comes before the file, key by key."""
    config = written(tmp_path, '[kafka."a:9092"]\nusername = "you"\npassword = "env:PW"\nmechanism = "PLAIN"\n')
    found = settings_of(HERE, {"username": "me", "security": "SASL_PLAINTEXT"}, config)
    assert (found.username, found.security, found.mechanism) == ("me", "SASL_PLAINTEXT", "PLAIN")


@pytest.mark.parametrize(
    ("given", "security"),
    [({}, "PLAINTEXT"), (LOGIN, "SASL_SSL"), ({"ca_bundle": "x"}, "SSL"), ({"certificate": "x"}, "SSL")],
)
def test_security_that_is_not_named(given, security, tmp_path):
    """A password never goes in the clear unless that is said."""
    assert settings_of(HERE, given, load(tmp_path, {})).security == security


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"usernam": "me"}, "did you mean 'username'"),
        ({"color": "red"}, "known are security"),
        ({"security": "TLS"}, "must be one of PLAINTEXT, SSL"),
        ({"mechanism": "GSSAPI", **LOGIN}, "must be one of PLAIN"),
        ({"username": "me"}, "belong together"),
        ({"username": "me", "password": "plant-it"}, "never by value"),
        ({"username": "me", "password": 12}, "must be a reference"),
        ({"security": "SASL_SSL"}, "needs `username` and `password`"),
        ({"security": "SSL", **LOGIN}, "leave them out, or say SASL_SSL"),
        ({"mechanism": "PLAIN"}, "`mechanism` says how a `username` logs in"),
        ({"key": "k.pem"}, "`key` is that of a `certificate`"),
        ({"security": "PLAINTEXT", "ca_bundle": "x"}, "is about TLS, which PLAINTEXT has not"),
        ({"security": "SSL", "ca_bundle": "x", "verify_tls": False}, "ignores `ca_bundle`"),
        ({"verify_tls": "no"}, "must be true or false"),
        ({"ca_bundle": ""}, "must be a text"),
    ],
)
def test_what_is_refused(given, words, tmp_path):
    """A setting that cannot be meant says which and why, and never shows a value that may be a secret."""
    with pytest.raises(ConfigError, match=words) as found:
        settings_of(HERE, given, load(tmp_path, {}))
    assert "plant-it" not in str(found.value)


@pytest.mark.parametrize("place", ["kafka://a:9092", "a", "me:pw@a:9092", "a:9092/topic"])
def test_a_table_that_names_no_broker(place, tmp_path):
    """A table names HOST:PORT and nothing else."""
    with pytest.raises(ConfigError, match="names a broker as HOST:PORT"):
        settings_of(HERE, None, written(tmp_path, f'[kafka."{place}"]\n'))


def test_tables_that_are_none(tmp_path):
    """Settings that stand under no broker are refused when the file is read."""
    with pytest.raises(ConfigError, match='kafka."broker:9093"'):
        written(tmp_path, '[kafka]\nsecurity = "SSL"\n')


def test_a_bundle_that_is_none(tmp_path):
    """A file that is no certificate is named, with its setting."""
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"ca_bundle .*ca\.pem: cannot be read as PEM"):
        Settings("SSL", ca_bundle=str(tmp_path / "ca.pem")).tls()


def test_no_password_in_a_repr(monkeypatch):
    """What is shown of settings holds no password, and not where it lies."""
    monkeypatch.setenv("PW", "plant-it")
    settings = Settings("SASL_SSL", "PLAIN", "me", Secret("env:PW", "password"))
    assert "PW" not in repr(settings)
    assert for_librdkafka(settings)["sasl.password"] == "plant-it"
    assert for_kafka_python(settings)["sasl_plain_password"] == "plant-it"


def test_what_the_libraries_are_told():
    """Each library has its own words for the same."""
    settings = Settings("SSL", verify_tls=False)
    assert for_librdkafka(settings) == {
        "security.protocol": "SSL",
        "enable.ssl.certificate.verification": False,
        "ssl.endpoint.identification.algorithm": "none",
    }
    assert not for_kafka_python(settings)["ssl_context"].check_hostname
    assert for_librdkafka(Settings()) == for_librdkafka(Settings("PLAINTEXT"))
