"""TLS: the server's certificate is verified, unless somebody says otherwise, and is told of it."""

import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import dataplat as dp
from dataplat.errors import LakeNotFound, StoreError, StoreTimeout
from dataplat.lake.stores import _open
from dataplat.lake.stores._surroundings import tls

_NO_SUCH_KEY = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>no</Message></Error>"


class Empty(BaseHTTPRequestHandler):
    """An S3 with nothing in it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Say that there is no such key."""
        self.send_response(404)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(_NO_SUCH_KEY)))
        self.end_headers()
        self.wfile.write(_NO_SUCH_KEY)

    def log_message(self, *_words):
        """Say nothing."""


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_words):
        """Clients that do not trust us hang up: that is the test."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve over TLS with a certificate that nobody signed; return its end point and the certificate."""
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Quiet(("127.0.0.1", 0), Empty) as serving:
        serving.socket = context.wrap_socket(serving.socket, server_side=True)
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"https://127.0.0.1:{serving.server_address[1]}", certificate
        serving.shutdown()
        thread.join()


def options(endpoint, **more):
    """Return options of a store at an end point."""
    return {"endpoint_url": endpoint, "anonymous": True, "region": "us-east-1", **more}


def test_a_certificate_that_nobody_signed_is_refused_at_once(server):
    """By default the connection is not made, nothing is tried again, and the error says what to give."""
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"certificate cannot be verified.*Give `ca_bundle`") as raised:
        dp.open("s3://bucket/lake", options=options(server[0]))
    assert not isinstance(raised.value, StoreTimeout)
    assert time.monotonic() - started < 30


def test_gcs_does_not_believe_it_either(server):
    """The same for a server of GCS."""
    with pytest.raises(StoreError, match=r"certificate cannot be verified.*Give SSL_CERT_FILE") as raised:
        dp.open("gs://bucket/lake", options={"endpoint_url": server[0], "anonymous": True})
    assert not isinstance(raised.value, StoreTimeout)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_server_without_tls_is_told_at_once(scheme):
    """An `https://` endpoint whose server speaks plain HTTP is no outage: the error says what to correct."""
    with Quiet(("127.0.0.1", 0), Empty) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        endpoint = f"https://127.0.0.1:{serving.server_address[1]}"
        try:
            with pytest.raises(StoreError, match="begin the endpoint with http://") as raised:
                dp.open(f"{scheme}://bucket/lake", create=False, options={"endpoint_url": endpoint, "anonymous": True})
        finally:
            serving.shutdown()
            thread.join()
    assert not isinstance(raised.value, StoreTimeout)


def test_a_bundle_is_believed(server):
    """With the file of who signed it the server is asked, and answers that there is no lake."""
    with pytest.raises(LakeNotFound):
        dp.open("s3://bucket/lake", create=False, options=options(server[0], ca_bundle=str(server[1])))


def test_verification_is_turned_off_with_a_warning(server, caplog, monkeypatch):
    """`verify_tls = false` asks the server whoever it is, and says so."""
    monkeypatch.setattr(_open, "_warned", set())
    with pytest.raises(LakeNotFound):
        dp.open("s3://bucket/lake", create=False, options=options(server[0], verify_tls=False))
    assert "is not verified (verify_tls = false)" in caplog.text


@pytest.mark.parametrize(
    ("settings", "safe", "words"),
    [
        ({}, True, "verified"),
        ({"ca_bundle": "x"}, True, "verified by `ca_bundle`"),
        ({"verify_tls": False}, False, "not verified (verify_tls = false)"),
        ({"endpoint_url": "http://x"}, False, "none: the endpoint is http://"),
    ],
)
def test_the_doctor_says_whether_it_is_verified(settings, safe, words, monkeypatch):
    """What travels unseen or in the open is told apart."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    assert tls("s3", settings) == (safe, words)
