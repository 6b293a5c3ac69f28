"""Bodies of lookups: decoded in the types of the service, and errors that name the field."""

import datetime as dt
import json
import math
from decimal import Decimal

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.server._asked import Reader, head_of
from dataplat.server._problems import Problem

ENTITIES = {"airport": pa.string(), "carrier": pa.int64(), "dest": pa.string()}
REQUEST = {
    "distance": pa.float64(),
    "seats": pa.int8(),
    "when": pa.timestamp("us", "UTC"),
    "day": pa.date32(),
    "price": pa.decimal128(10, 2),
    "raw": pa.binary(),
    "late": pa.bool_(),
    "took": pa.duration("us"),
    "an odd name": pa.list_(pa.float32()),
}
GOOD = {
    "service": "m",
    "entities": {"airport": ["JFK"], "carrier": [1], "dest": ["LAX"]},
    "request": {
        "distance": [2475.0],
        "seats": [3],
        "when": ["2013-01-01T05:00:00Z"],
        "day": ["2013-01-01"],
        "price": ["12.50"],
        "raw": ["AAE="],
        "late": [True],
        "took": [1.5],
        "an odd name": [[1, None, "Infinity"]],
    },
}
READER = Reader("m@1", ENTITIES, REQUEST, most=10)


def asked(body):
    """Read a body, as Python or as text."""
    told = body if isinstance(body, bytes) else json.dumps(body).encode()
    return READER(head_of(told), told)


def changed(where, name, value):
    """Return the good body with a column changed; None: taken away."""
    body = json.loads(json.dumps(GOOD))
    if value is None:
        del body[where][name]
    else:
        body[where][name] = value
    return body


def refused(body):
    """Return the problem of a body."""
    with pytest.raises(Problem) as caught:
        asked(body)
    return caught.value


def test_every_type_is_what_arrow_would_give():
    """Values of each type come as the Python values that Arrow gives for it."""
    found = asked(GOOD)
    assert found.entities == {"airport": ["JFK"], "carrier": [1], "dest": ["LAX"]}
    assert found.request == {
        "distance": [2475.0],
        "seats": [3],
        "when": [dt.datetime(2013, 1, 1, 5, tzinfo=dt.UTC)],
        "day": [dt.date(2013, 1, 1)],
        "price": [Decimal("12.50")],
        "raw": [b"\0\1"],
        "late": [True],
        "took": [dt.timedelta(seconds=1.5)],
        "an odd name": [[1.0, None, math.inf]],
    }
    assert found.rows == 1
    for name, kind in REQUEST.items():
        assert pa.array(found.request[name], kind).type == kind


def test_columns_of_the_request_may_stand_among_the_entities():
    """What is no key is found in either place, and in both it is refused."""
    body = {"service": "m", "entities": {**GOOD["entities"], **GOOD["request"]}}
    assert asked(body).request == asked(GOOD).request
    twice = {**GOOD, "entities": {**GOOD["entities"], "seats": [3]}}
    assert refused(twice).field == "request.seats"


def test_numbers_that_json_lacks_are_words():
    """NaN and infinities are said as words; other words are refused, and so is NaN without quotes."""
    found = asked(changed("request", "distance", ["NaN"])).request["distance"]
    assert math.isnan(found[0])
    assert asked(changed("request", "distance", ["-Infinity"])).request["distance"] == [-math.inf]
    problem = refused(changed("request", "distance", ["nan"]))
    assert problem.field == "request.distance[0]"
    assert problem.detail.startswith('Expected a number, or "NaN", "Infinity", "-Infinity", got \'nan\'')
    bare = json.dumps(GOOD).replace("2475.0", "NaN").encode()
    problem = refused(bare)
    assert (problem.status, problem.kind) == (400, "malformed")


@pytest.mark.parametrize(
    ("where", "name", "value", "field"),
    [
        ("entities", "airport", [1], "entities.airport[0]"),
        ("entities", "airport", "JFK", "entities.airport"),
        ("entities", "carrier", ["AA"], "entities.carrier[0]"),
        ("entities", "carrier", [1.5], "entities.carrier[0]"),
        ("entities", "carrier", [2**63], "entities.carrier[0]"),
        ("entities", "carrier", None, "entities.carrier"),
        ("entities", "carier", [1], "entities.carier"),
        ("entities", "dest", ["LAX", "SFO"], "entities.dest"),
        ("request", "seats", [128], "request.seats[0]"),
        ("request", "seats", [True], "request.seats[0]"),
        ("request", "seats", None, "request.seats"),
        ("request", "seats", [], "request.seats"),
        ("request", "when", ["2013-01-01T05:00:00"], "request.when[0]"),
        ("request", "day", ["01/01/2013"], "request.day[0]"),
        ("request", "price", ["dear"], "request.price[0]"),
        ("request", "price", ["NaN"], "request.price"),
        ("request", "raw", ["%%"], "request.raw[0]"),
        ("request", "an odd name", [[1], ["x"]], "request.an odd name[1][0]"),
    ],
)
def test_what_is_wrong_is_named(where, name, value, field):
    """A wrong type, a missing or unknown column, a length that differs: 422, and the field is named."""
    problem = refused(changed(where, name, value))
    assert (problem.status, problem.kind, problem.field) == (422, "invalid", field)


TEXT = json.dumps(GOOD)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (TEXT.replace('"service"', '"service": "other", "service"'), "service"),
        (TEXT.replace('"entities"', '"entities": {}, "entities"'), "entities"),
        (TEXT.replace('"airport"', '"airport": ["LAX"], "airport"'), "entities.airport"),
        (TEXT.replace('"airport"', '"\\u0061irport": ["LAX"], "airport"'), "entities.airport"),
        (TEXT.replace('"seats"', '"seats": [[[{}]]], "seats"'), "request.seats"),
        (TEXT.replace('"an odd name"', '"an odd name": [], "an odd name"'), "request.an odd name"),
    ],
)
def test_a_name_that_stands_twice_is_refused(text, field):
    """Nobody knows which value is meant, so neither counts; what is written with escapes is the same name."""
    problem = refused(text.encode())
    assert (problem.status, problem.kind, problem.field) == (422, "invalid", field)


def test_values_that_are_written_like_names():
    """A key may be written like a column, with escapes too."""
    body = {"service": "m", "entities": {}, "request": {}}
    for where in ("entities", "request"):
        body[where] = {name: values * 4 for name, values in GOOD[where].items()}
    body["entities"]["airport"] = ["airport", "service", 'a"carrier"', "\\"]
    assert asked(body).entities["airport"] == ["airport", "service", 'a"carrier"', "\\"]


DEEP = b'{"service": "m", "entities": ' + b"[" * 100_000
BROKEN = (b"", b"{", b"nonsense", b"\xff\xfe", b'{"service": "m", "entities": {"airport": ["\xff"]}}', DEEP)


@pytest.mark.parametrize("body", BROKEN, ids=["nothing", "half", "words", "bytes", "no UTF-8", "bottomless"])
def test_what_is_no_json_is_malformed(body):
    """Half of JSON, other bytes and bottomless nesting are 400."""
    assert refused(body).status == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", None),
        (b"{}", "service"),
        (b'{"service": 1}', "service"),
        (b'{"service": "m", "entites": {}}', "entites"),
        (b'{"service": "m", "statuses": "yes"}', "statuses"),
        (b'{"service": "m", "entities": 3}', "entities"),
    ],
)
def test_what_is_another_thing_is_invalid(body, field):
    """JSON of another form is 422, and says where."""
    problem = refused(body)
    assert (problem.status, problem.field) == (422, field)


def test_too_many_entities():
    """More entities than a lookup takes are 413, and the bound is said."""
    problem = refused(changed("entities", "airport", ["JFK"] * 11))
    assert (problem.status, problem.kind, problem.more) == (413, "too-many-entities", {"max_entities": 10})


def test_a_service_without_entities_has_one_row():
    """Where nothing is asked for by key, there is one row; columns of the request say how many else."""
    assert Reader("m@1", {}, {}, 10)(head_of(b'{"service": "m"}')).rows == 1
    assert Reader("m@1", {}, {"x": pa.int64()}, 10)(head_of(b'{"service": "m", "request": {"x": [1, 2]}}')).rows == 2


def test_null_keys_are_asked_for():
    """A null is a key that matches nothing, and no error (PIT 12)."""
    assert asked(changed("entities", "airport", [None])).entities["airport"] == [None]


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_no_bytes_are_a_surprise(body):
    """Whatever comes is read, or is a problem of 4xx."""
    assert told(body) is None or 400 <= told(body).status < 500


def told(body):
    """Return the problem of a body; None where it is read."""
    try:
        asked(body)
    except Problem as problem:
        return problem
    return None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["airport", "seats", "x", ""]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=100)
@given(st.fixed_dictionaries({"service": st.just("m")}, optional={"entities": JSON, "request": JSON, "closure": JSON}))
def test_no_json_is_a_surprise(body):
    """Whatever JSON comes is read, or is a problem of 4xx whose body is JSON again."""
    problem = told(body)
    if problem is not None:
        assert 400 <= problem.status < 500
        assert msgspec.json.decode(problem.body("id"))["status"] == problem.status
