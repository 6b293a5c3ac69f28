"""What a client says, hears and does about it, without any input or output."""

import json

import pytest

from dataplat import errors
from dataplat._features._exchange import Answered, Lost, Talk, error_of
from dataplat.errors import ConfigError, FeatureServerError, FeatureServerTimeout

DESCRIBED = Answered(200, {}, b'{"service": "m@1", "features": {"x": "float64"}}')
FOUND = Answered(200, {}, b'{"service": "m@1", "snapshot": "s", "sequence": 3, "t": "2024-01-01T00:00:00.5Z", "stale": [], "features": {"x": ["NaN"]}}')  # fmt: skip


def talk(retries=3, timeout=5.0):
    """Return what talks."""
    return Talk("http://x", None, timeout, retries)


def problem(kind, status, **more):
    """Return an answer that is a problem."""
    told = {"type": f"urn:dataplat:problem:{kind}", "detail": "why", "request_id": "r1", **more}
    return Answered(status, {"retry-after": "1"}, json.dumps(told).encode())


def ended(talking, *heard):
    """Have a talk hear answers; return what it ends with."""
    next(talking)
    for each in heard[:-1]:
        talking.send(each)
    with pytest.raises(StopIteration) as caught:
        talking.send(heard[-1])
    return caught.value.value


def test_types_are_asked_for_once():
    """The types of a service are asked for when they are needed, and remembered."""
    talking = talk()
    found = ended(talking.lookup("m", {"a": ["k"]}), FOUND, DESCRIBED)
    assert (found.service, found.snapshot, found.sequence, found.t.isoformat()) == ("m@1", "s", 3, "2024-01-01T00:00:00.500000+00:00")  # fmt: skip
    assert str(found.table.schema.field("x").type) == "double"
    assert ended(talking.lookup("m", {"a": ["k"]}), FOUND).service == "m@1"


def test_what_is_lost_is_asked_again_a_little_later():
    """After a lost connection, or a server that is busy, the same is asked again, each time later."""
    lookup = talk().lookup("m", {"a": ["k"]})
    first = next(lookup)
    second = lookup.send(Lost("reset"))
    third = lookup.send(problem("overloaded", 503))
    assert first.body == second.body == third.body
    assert 0 == first.wait < second.wait < third.wait <= 1.0
    assert int(third.headers["dataplat-deadline-ms"]) < int(first.headers["dataplat-deadline-ms"])


def test_tries_come_to_an_end():
    """When all tries are used up the last reason is told."""
    lookup = talk(retries=1).lookup("m", {"a": ["k"]})
    next(lookup)
    lookup.send(Lost("reset"))
    with pytest.raises(FeatureServerTimeout, match="no answer: slow"):
        lookup.send(Lost("slow", late=True))


def test_time_comes_to_an_end():
    """No try is made for which there is no time."""
    lookup = talk(timeout=0.01).lookup("m", {"a": ["k"]})
    next(lookup)
    with pytest.raises(FeatureServerError, match="why"):
        lookup.send(problem("overloaded", 503))


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("closure-mismatch", 409, "ClosureMismatch"),
        ("invalid", 422, "SchemaError"),
        ("too-many-entities", 413, "SchemaError"),
        ("not-materialized", 503, "NotMaterialized"),
        ("unknown-service", 404, "FeatureNotFound"),
        ("unauthorized", 401, "FeatureServerDenied"),
        ("deadline", 504, "FeatureServerTimeout"),
        ("store-unavailable", 503, "FeatureServerError"),
        ("internal", 500, "FeatureServerError"),
    ],
)
def test_problems_are_the_errors_of_the_store(kind, status, error):
    """A problem is the error that the store itself would have raised, with field and id in its message."""
    found = error_of(problem(kind, status, field="entities.a"))
    assert type(found) is getattr(errors, error)
    assert str(found) == "why (entities.a) [request r1]"


def test_both_hashes_come_back():
    """Whoever is refused for another closure is told both, as the store itself tells them."""
    found = error_of(problem("closure-mismatch", 409, sent="00ff", served="3f9a", field="closure"))
    assert isinstance(found, errors.ClosureMismatch)
    assert (found.sent, found.served) == ("00ff", "3f9a")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b"\xff"])
def test_answers_of_somebody_else(body):
    """What a proxy says in between is an error with its status."""
    found = error_of(Answered(502, {}, body))
    assert isinstance(found, FeatureServerError)
    assert found.status == 502


def test_a_key_is_given_by_reference(monkeypatch):
    """A key is named by where it lies, never written down, and in no repr."""
    with pytest.raises(ConfigError, match="by reference"):
        Talk("http://x", "the-key-itself-0001", 1, 0)
    monkeypatch.setenv("A_KEY", "the-key-itself-0001")
    ask = next(Talk("http://x", "env:A_KEY", 1, 0).ready())
    assert ask.headers["authorization"] == "Bearer the-key-itself-0001"


def test_pushes_are_sent_again_as_the_same():
    """A push that is tried again has the same key, so that it counts once."""
    push = talk().push("v", [{"x": float("nan")}], "id-1")
    first = next(push)
    assert json.loads(first.body) == {"view": "v", "rows": [{"x": "NaN"}], "idempotency": "id-1"}
    assert push.send(Lost("reset")).body == first.body
