"""OpenTelemetry: a real server sends its spans, by OTLP, to a collector that is the test; they tell no key and no value."""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest

from dataplat.errors import ConfigError, MissingExtra
from dataplat.server._telemetry import _exporter, observed
from servers.features import running, until
from servers.process import free_port

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra `telemetry` brings the exporter")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TOML = '[serve]\ntelemetry = true\naccess_log = "-"\n'
BODY = {"service": "bench", "entities": {"airport": ["k1"]}}
ARROW = "application/vnd.apache.arrow.stream"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """Takes spans as a collector does: POST /v1/traces, in Protobuf."""

    def __init__(self):
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                data = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    import gzip

                    data = gzip.decompress(data)
                outer.asked.append((self.path, ExportTraceServiceRequest.FromString(data)))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def spans(self):
        """Return (resource, span) of all that came."""
        return [
            ({each.key: value(each.value) for each in resource.resource.attributes}, span)
            for _, asked in list(self.asked)
            for resource in asked.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name):
        """Return the attributes of the spans of a name."""
        return [attributes(span) for _, span in self.spans() if span.name == name]


def value(told):
    """Return what a value of OTLP is."""
    return getattr(told, told.WhichOneof("value"))


def attributes(span):
    """Return the attributes of a span."""
    return {each.key: value(each.value) for each in span.attributes}


@pytest.fixture(scope="module")
def collector():
    """Return a collector."""
    found = Collector()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture(scope="module")
def server(collector, tmp_path_factory):
    """Return a server that sends its spans there soon."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running(tmp_path_factory.mktemp("traced"), toml=TOML, env=env) as found:
        until(found.ready)
        yield found


def test_the_hot_route_is_a_span(server, collector):
    """With its status, the id of the request and its snapshot; it follows the caller's trace."""
    answer = server.lookup(BODY, {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "traced-1"})
    assert answer.status == 200
    until(lambda: any(span.trace_id.hex() == TRACE for _, span in collector.spans()))
    resource, span = next((r, s) for r, s in collector.spans() if s.trace_id.hex() == TRACE)
    assert (span.name, span.parent_span_id.hex()) == ("POST /features/lookup", PARENT)
    assert span.kind == 2  # of a server
    told = attributes(span)
    assert (told["http.status_code"], told["http.target"]) == (200, "/features/lookup")
    assert (told["dataplat.request_id"], told["dataplat.snapshot"]) == ("traced-1", "n1")
    assert resource["service.name"] == "dataplat"
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 10**10
    assert {path for path, _ in collector.asked} == {"/v1/traces"}


def test_spans_tell_no_value(server, collector):
    """Neither keys, nor queries, nor addresses that are none of ours; a service is told by the template of its address."""
    secret = "SECRET-4711"
    assert server.lookup({"service": "bench", "entities": {"airport": [secret]}}).status == 200
    assert server.lookup({"service": "bench", "entities": {"airport": [secret, 1]}}).status == 422
    sink = pa.BufferOutputStream()
    table = pa.table({"airport": [secret]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    where = f"/features/lookup?service=bench&closure={secret}"
    assert server.ask("POST", where, sink.getvalue().to_pybytes(), {"content-type": ARROW}).status == 409
    assert server.ask("POST", f"/features/push?idempotency={secret}", b"{}").status == 422
    assert server.ask("GET", f"/{secret}/x?{secret}=1").status == 404
    assert server.ask("GET", "/features/services/bench?x=1").status == 200
    until(lambda: collector.named("GET /features/services/{name}"))
    until(lambda: {each["http.status_code"] for each in collector.named("POST /features/lookup")} >= {200, 409, 422})
    assert [each["http.status_code"] for each in collector.named("GET /(other)")] == [404]
    assert secret not in str(collector.asked)
    assert secret not in server.log.read_text()


def test_nobody_takes_the_spans(tmp_path):
    """A collector that is not there costs no request and no time at the end."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with running(tmp_path, toml=TOML, env=env) as server:
        begin = time.monotonic()
        for _ in range(20):
            assert server.lookup(BODY).status == 200
        assert time.monotonic() - begin < 5
        server.process.terminate()
        assert server.process.wait(12) == 0


def test_what_waits_is_sent_at_the_end(tmp_path, collector):
    """Spans that were not sent yet are sent as the server ends."""
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_SERVICE_NAME": "last",
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
    }
    with running(tmp_path, toml=TOML, env=env) as server:
        assert server.lookup(BODY).status == 200
    assert [span.name for resource, span in collector.spans() if resource["service.name"] == "last"] == [
        "POST /features/lookup"
    ]


def test_its_own_variables_hold(tmp_path):
    """Spans go where OTEL_TRACES_EXPORTER says, and paths that OTEL_PYTHON_EXCLUDED_URLS names are none."""
    env = {"OTEL_TRACES_EXPORTER": "console", "OTEL_PYTHON_EXCLUDED_URLS": "healthz", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with running(tmp_path, toml=TOML, env=env) as server:
        assert server.ask("GET", "/healthz").status == 200
        assert server.lookup(BODY).status == 200
        server.process.terminate()
        text = server.process.stdout.read()
    told = json.loads(text)
    assert told["name"] == "POST /features/lookup"


def test_what_is_missing_is_said(monkeypatch):
    """An exporter that is not there, and packages that are not installed."""
    with pytest.raises(ConfigError, match=r"OTEL_TRACES_EXPORTER is 'zipkins'; installed are .*console"):
        _exporter("zipkins")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(MissingExtra, match="pip install opentelemetry-exporter-otlp-proto-grpc"):
        _exporter("otlp")
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.asgi", None)
    with pytest.raises(MissingExtra, match=r"pip install 'dataplat\[telemetry\]'"):
        observed(None, frozenset())
