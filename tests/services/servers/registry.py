"""A schema registry of the tests' own, which speaks the protocol of Confluent's over HTTP on the loopback.

def test_x(registry):                                    # a fixture; or `with Registry(user=("me", "secret"))`
id = registry.register("flights-value", '{"type": "record", …}')           # or "PROTOBUF", "JSON" as third
other = registry.register("s", text, "PROTOBUF", [Reference("common.proto", "common", 1)])
topic.produce([Message(framed(id, payload))])        # a zero byte, the id, the payload
... registry.url ...                                 # http://127.0.0.1:PORT
registry.fail(500); registry.fail(500, times=2)      # each answer, or the next two; `registry.heal()` ends it
registry.slow(3.0)                                   # seconds before each answer
assert registry.asked == [("GET", "/schemas/ids/1")] # what clients asked for: caches are proved by counts
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit
from uuid import NAMESPACE_OID, UUID, uuid5

Answer = tuple[int, Any]  # HTTP's status, and what is sent as JSON


@dataclass(frozen=True, slots=True)
class Reference:
    """Another schema that one names: by which name, and where it is registered."""

    name: str
    subject: str
    version: int


@dataclass(frozen=True, slots=True)
class Schema:
    """What is registered under an id."""

    text: str
    type: str = "AVRO"
    references: tuple[Reference, ...] = ()

    def told(self) -> dict[str, Any]:
        """Return it as the registry tells it: the type is left out for Avro, references where there are none."""
        told: dict[str, Any] = {"schema": self.text}
        if self.type != "AVRO":
            told["schemaType"] = self.type
        if self.references:
            told["references"] = [asdict(reference) for reference in self.references]
        return told


def framed(id: int, payload: bytes) -> bytes:
    """Return a message as serializers of the registry write it."""
    return b"\0" + id.to_bytes(4, "big") + payload


def guid_of(schema: Schema) -> UUID:
    """Return the GUID of a schema, the same in every registry."""
    return uuid5(NAMESPACE_OID, repr(schema))


def in_a_header(schema: Schema, *, of: str = "value", path: bytes = b"") -> tuple[str, bytes]:
    """Return the header by which serializers name a schema by its GUID (of Protobuf with the `path` of the message)."""
    return f"__{of}_schema_id", b"\1" + guid_of(schema).bytes + path


@dataclass
class Registry:
    """A registry that runs, from `with` to its end; with a `user` it wants that name and password."""

    user: tuple[str, str] | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    _schemas: list[Schema] = field(default_factory=list)  # by id, from 1
    _subjects: dict[str, list[int]] = field(default_factory=dict)  # the id of each version, from 1
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _failing: tuple[int, int] = (0, 0)  # with what, how often; negative: for ever
    _slow: float = 0.0
    _closed: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def register(self, subject: str, text: str, type: str = "AVRO", references: Sequence[Reference] = ()) -> int:
        """Register a schema as a producer does, though not over HTTP; return its id."""
        with self._lock:
            return self._register(subject, Schema(text, type, tuple(references)))

    def fail(self, status: int, times: int = -1) -> None:
        """Answer with an error of the server, for ever or so many times."""
        with self._lock:
            self._failing = (status, times)

    def slow(self, seconds: float) -> None:
        """Wait before each answer."""
        self._slow = seconds

    def heal(self) -> None:
        """Answer at once, and rightly."""
        self.fail(0, 0)
        self.slow(0.0)

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return what is answered to a request."""
        with self._lock:
            self.asked.append((method, path))
            status, times = self._failing
            if times:
                self._failing = (status, times - 1)
        self._closed.wait(self._slow)
        if times:
            return status, {"error_code": 50001, "message": "Error in the backend data store"}
        if self.user is not None:
            expected = base64.b64encode(":".join(self.user).encode()).decode()
            if headers.get("Authorization") != f"Basic {expected}":
                return 401, {"error_code": 401, "message": "Unauthorized"}
        with self._lock:
            return self._answer(method, [unquote(word) for word in urlsplit(path).path.strip("/").split("/")], body)

    def _answer(self, method: str, words: list[str], body: bytes) -> Answer:
        match method, words:
            case "POST", ["subjects", subject, "versions"]:
                return self._post(subject, json.loads(body))
            case "GET", ["schemas", "ids", id]:
                return self._by_id(id)
            case "GET", ["schemas", "guids", guid]:
                found = [schema for schema in self._schemas if str(guid_of(schema)) == guid]
                missing = (404, {"error_code": 40403, "message": f"Schema {guid} not found"})
                return (200, {**found[0].told(), "guid": guid}) if found else missing
            case "GET", ["subjects"]:
                return 200, sorted(self._subjects)
            case "GET", ["subjects", subject, "versions", *version]:
                return self._versions(subject, version)
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _post(self, subject: str, given: Mapping[str, Any]) -> Answer:
        references = tuple(Reference(**reference) for reference in given.get("references") or ())
        schema = Schema(given["schema"], given.get("schemaType") or "AVRO", references)
        if schema.type in {"AVRO", "JSON"}:
            try:
                json.loads(schema.text)
            except ValueError as error:
                return 422, {"error_code": 42201, "message": f"Invalid schema: {error}"}
        return 200, {"id": self._register(subject, schema)}

    def _register(self, subject: str, schema: Schema) -> int:
        if schema not in self._schemas:
            self._schemas.append(schema)
        id = self._schemas.index(schema) + 1
        versions = self._subjects.setdefault(subject, [])
        if id not in versions:
            versions.append(id)
        return id

    def _by_id(self, id: str) -> Answer:
        if not id.isdigit() or not 1 <= int(id) <= len(self._schemas):
            return 404, {"error_code": 40403, "message": f"Schema {id} not found"}
        return 200, self._schemas[int(id) - 1].told()

    def _versions(self, subject: str, version: list[str]) -> Answer:
        if subject not in self._subjects:
            return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
        ids = self._subjects[subject]
        if not version:
            return 200, list(range(1, len(ids) + 1))
        number = len(ids) if version == ["latest"] else int(version[0])
        if not 1 <= number <= len(ids):
            return 404, {"error_code": 40402, "message": f"Version {number} not found."}
        id = ids[number - 1]
        return 200, {"subject": subject, "version": number, "id": id, **self._schemas[id - 1].told()}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_words: object) -> None:
        """Clients that have waited long enough hang up: that is their test."""


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, told = registry.answer(self.command, self.path, dict(self.headers), body)
            sent = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = _serve  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    return Handler
