"""The tests' own schema registry answers as Confluent's does."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request

import pytest

from servers import Reference, Registry

FLIGHT = json.dumps({"type": "record", "name": "Flight", "fields": [{"name": "n", "type": "int"}]})


def ask(registry, path, body=None, user=None, timeout=30):
    """Return the status and the JSON that a request is answered with."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(registry.url + path, data)  # noqa: S310 - our own
    if user is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(":".join(user).encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_schema_has_one_id_and_a_version_in_each_subject(registry: Registry) -> None:
    """Registered again it keeps its id; a second schema of a subject is its second version."""
    wider = FLIGHT.replace("int", "long")
    assert ask(registry, "/subjects/a/versions", {"schema": FLIGHT}) == (200, {"id": 1})
    assert ask(registry, "/subjects/a/versions", {"schema": FLIGHT}) == (200, {"id": 1})
    assert ask(registry, "/subjects/b%2Fc/versions", {"schema": FLIGHT}) == (200, {"id": 1})
    assert ask(registry, "/subjects/a/versions", {"schema": wider}) == (200, {"id": 2})
    assert ask(registry, "/schemas/ids/1") == (200, {"schema": FLIGHT})
    assert ask(registry, "/subjects/a/versions") == (200, [1, 2])
    latest = {"subject": "a", "version": 2, "id": 2, "schema": wider}
    assert ask(registry, "/subjects/a/versions/latest") == ask(registry, "/subjects/a/versions/2") == (200, latest)
    assert ask(registry, "/subjects") == (200, ["a", "b/c"])


def test_types_and_references_are_told(registry: Registry) -> None:
    """What is not Avro says so, and names the schemas that it needs."""
    common = registry.register("common", 'syntax = "proto3";', "PROTOBUF")
    body = {
        "schema": 'syntax = "proto3"; import "common.proto";',
        "schemaType": "PROTOBUF",
        "references": [{"name": "common.proto", "subject": "common", "version": 1}],
    }
    assert ask(registry, "/subjects/s/versions", body) == (200, {"id": common + 1})
    assert ask(registry, f"/schemas/ids/{common + 1}") == (200, body)
    same = registry.register("t", body["schema"], "PROTOBUF", [Reference("common.proto", "common", 1)])
    assert same == common + 1


def test_what_is_not_there(registry: Registry) -> None:
    """An unknown id, subject and version each have an error of their own; a schema that is none is refused."""
    registry.register("a", FLIGHT)
    assert ask(registry, "/schemas/ids/7") == (404, {"error_code": 40403, "message": "Schema 7 not found"})
    for path, code in (("/subjects/x/versions/latest", 40401), ("/subjects/a/versions/9", 40402), ("/else", 404)):
        status, told = ask(registry, path)
        assert (status, told["error_code"]) == (404, code)
    status, told = ask(registry, "/subjects/a/versions", {"schema": "{"})
    assert (status, told["error_code"]) == (422, 42201)


def test_who_asks_has_to_say_who_they_are() -> None:
    """With a user, nothing is told to anybody else."""
    with Registry(user=("me", "secret")) as registry:
        id = registry.register("a", FLIGHT)
        assert ask(registry, f"/schemas/ids/{id}")[0] == 401
        assert ask(registry, f"/schemas/ids/{id}", user=("me", "wrong"))[0] == 401
        assert ask(registry, f"/schemas/ids/{id}", user=("me", "secret")) == (200, {"schema": FLIGHT})


def test_it_fails_and_is_slow_on_demand(registry: Registry) -> None:
    """It answers with errors so often or until it is healed, and late; each request is counted."""
    registry.register("a", FLIGHT)
    registry.fail(500, times=2)
    assert [ask(registry, "/schemas/ids/1")[0] for _ in range(3)] == [500, 500, 200]
    registry.fail(503)
    assert [ask(registry, "/schemas/ids/1")[0] for _ in range(3)] == [503, 503, 503]
    registry.heal()
    registry.slow(60)
    with pytest.raises(TimeoutError):
        ask(registry, "/schemas/ids/1", timeout=0.2)
    registry.heal()
    assert ask(registry, "/schemas/ids/1")[0] == 200
    assert registry.asked == [("GET", "/schemas/ids/1")] * 8
