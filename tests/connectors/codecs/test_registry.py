"""A registry is asked once for each id, by HTTP; what it does not know is a record's fault, what it does not say is not."""

from __future__ import annotations

import json
import ssl

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.connectors.codecs import open_codec
from dataplat.connectors.codecs._registry import registry_at
from dataplat.connectors.codecs._unify import fit
from servers.kafka import certify
from servers.registry import Reference, Registry, framed


def record(*fields, name="Flight"):
    """Return a schema as JSON."""
    return {"type": "record", "name": name, "fields": [{"name": key, "type": kind} for key, kind in fields]}


V1 = record(("n", "int"), ("gone", "string"))
V2 = record(("n", "long"), ("new", ["null", "double"]))
V3 = record(("n", "string"))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("dataplat.connectors.codecs._registry.time.sleep", lambda _: None)


def ids(registry, *schemas):
    """Register schemas; return their ids."""
    return [registry.register("flights-value", json.dumps(schema)) for schema in schemas]


def test_versions_that_alternate(registry, records_of, avro):
    """Two versions that alternate record by record become rows of one schema, in order; a third goes aside, named."""
    first, second, third = ids(registry, V1, V2, V3)
    values = []
    for i in range(300):
        if i % 50 == 49:
            values.append(framed(third, avro(V3, {"n": f"no number {i}"})))
        elif i % 2:
            values.append(framed(first, avro(V1, {"n": i, "gone": "x"})))
        else:
            values.append(framed(second, avro(V2, {"n": i + 2**40, "new": i / 2})))
    codec = open_codec("avro", registry=registry.url)
    decoded = codec.decode(records_of(values), None)
    assert decoded.batch.schema.equals(pa.schema([("n", pa.int64()), ("new", pa.float64()), ("gone", pa.string())]))
    wanted = [
        {"n": i, "new": None, "gone": "x"} if i % 2 else {"n": i + 2**40, "new": i / 2, "gone": None}
        for i in range(300)
        if i % 50 != 49
    ]
    assert decoded.batch.to_pylist() == wanted
    assert [reject.index for reject in decoded.rejects] == list(range(49, 300, 50))
    assert {(reject.schema_id, reject.column) for reject in decoded.rejects} == {(third, "n")}
    assert decoded.rejects[0].error == f"schema {third}: column 'n' is int64 so far, and string here"
    assert sorted(registry.asked) == [("GET", f"/schemas/ids/{id}") for id in (first, second, third)]
    codec.decode(records_of(values), decoded.batch.schema)
    open_codec("registry", registry=registry.url).decode(records_of(values), None)
    assert len(registry.asked) == 3


def test_an_integer_that_no_float_holds(registry, records_of, avro):
    """Where one version has integers and the other floats, an integer that is none of these is a reject with its id."""
    whole, broken = ids(registry, record(("n", "long")), record(("n", "double")))
    values = [framed(whole, avro(record(("n", "long")), {"n": n})) for n in (1, 2**60 + 1)]
    values.append(framed(broken, avro(record(("n", "double")), {"n": 0.5})))
    decoded = open_codec("avro", registry=registry.url).decode(records_of(values), None)
    assert decoded.batch.to_pylist() == [{"n": 1.0}, {"n": 0.5}]
    assert [(reject.index, reject.column, reject.schema_id) for reject in decoded.rejects] == [(1, "n", whole)]


def test_records_without_a_schema(registry, records_of, avro):
    """An id that nobody knows, no frame, half of one, no value: rejects, and the id is in the first."""
    (known,) = ids(registry, V1)
    body = avro(V1, {"n": 1, "gone": "x"})
    values = [framed(known, body), framed(77, body), b'{"n": 1}', b"\0\0\0", b"", None, framed(known, body[:-1])]
    decoded = open_codec("registry", registry=registry.url).decode(records_of(values), None)
    assert decoded.rows.tolist() == [0]
    rejects = {reject.index: reject for reject in decoded.rejects}
    assert rejects.keys() == set(range(1, 7))
    assert rejects[1].error == f"schema 77: it is not known to the registry at {registry.url}"
    assert rejects[1].schema_id == 77
    assert "no frame" in rejects[2].error
    assert "7b 22 6e" in rejects[2].error
    assert "no frame" in rejects[3].error
    assert "tombstone" in rejects[5].error
    assert rejects[6].error == f"schema {known}: the value ends within the Avro record"
    assert rejects[6].schema_id == known


def test_an_id_that_is_registered_later(registry, records_of, avro, monkeypatch):
    """What the registry did not know is asked for again after a while."""
    codec = open_codec("avro", registry=registry.url)
    values = [framed(1, avro(V1, {"n": 1, "gone": "x"}))]
    assert len(codec.decode(records_of(values), None).rejects) == 1
    assert ids(registry, V1) == [1]
    assert len(codec.decode(records_of(values), None).rejects) == 1
    assert len(registry.asked) == 1
    monkeypatch.setattr("dataplat.connectors.codecs._registry.time.monotonic", lambda: 1e12)
    assert codec.decode(records_of(values), None).rejects == []


def test_references(registry, records_of, avro):
    """A schema may name types of others, which may name others."""
    inner = {"type": "enum", "name": "org.example.Kind", "symbols": ["A", "B"]}
    middle = {"type": "record", "name": "org.example.Plane", "fields": [{"name": "kind", "type": "Kind"}]}
    outer = record(("plane", "org.example.Plane"), ("other", ["null", "org.example.Plane"]))
    registry.register("kind", json.dumps(inner))
    registry.register("plane", json.dumps(middle), references=[Reference("org.example.Kind", "kind", 1)])
    id = registry.register("f", json.dumps(outer), references=[Reference("org.example.Plane", "plane", 1)])
    whole = record(
        ("plane", {**middle, "fields": [{"name": "kind", "type": inner}]}), ("other", ["null", "org.example.Plane"])
    )
    values = [framed(id, avro(whole, {"plane": {"kind": "B"}, "other": None}))]
    decoded = open_codec("avro", registry=registry.url).decode(records_of(values), None)
    assert decoded.batch.to_pylist() == [{"plane": {"kind": "B"}, "other": None}]


def test_a_schema_that_is_no_columns(registry, records_of):
    """A schema that cannot be columns makes its records rejects, and stops nothing."""
    id = registry.register("f", json.dumps(record(("a", ["int", "string"]))))
    other = registry.register("g", "{", "AVRO")
    strange = registry.register("h", "x", "THRIFT")
    values = [framed(id, b"\0\0"), framed(other, b""), framed(strange, b"")]
    errors = [r.error for r in open_codec("registry", registry=registry.url).decode(records_of(values), None).rejects]
    assert "union" in errors[0]
    assert "no JSON" in errors[1]
    assert "THRIFT" in errors[2]


def test_a_reference_to_nothing(registry, records_of):
    """A schema that refers to one that is not there makes its records rejects, and stops nothing."""
    id = registry.register("f", json.dumps(V1), references=[Reference("Other", "other", 3)])
    (reject,) = open_codec("avro", registry=registry.url).decode(records_of([framed(id, b"")]), None).rejects
    assert reject.error == f"schema {id}: it refers to version 3 of 'other', which {registry.url} does not know"


def test_the_id_of_a_value_that_does_not_fit(registry, records_of, avro):
    """A row that a dataset's column cannot hold is a reject that has the id, too."""
    schema = record(("n", "double"))
    (id,) = ids(registry, schema)
    values = [framed(id, avro(schema, {"n": n})) for n in (1.0, 1.5)]
    decoded = open_codec("avro", registry=registry.url).decode(records_of(values), None)
    fitted = fit(decoded, pa.schema([("n", pa.int64())]))
    assert fitted.batch.to_pylist() == [{"n": 1}]
    assert [(reject.index, reject.column, reject.schema_id) for reject in fitted.rejects] == [(1, "n", id)]


def test_another_type_than_was_asked_for(registry, records_of):
    """`--format avro` refuses messages of JSON Schema, and says what takes them."""
    id = registry.register("f", "{}", "JSON")
    (reject,) = open_codec("avro", registry=registry.url).decode(records_of([framed(id, b"{}")]), None).rejects
    assert "of type JSON" in reject.error
    assert "--format registry" in reject.error


def test_mixed_types_in_one_topic(registry, records_of, avro):
    """Avro and JSON Schema side by side become rows of one schema, in order."""
    first = registry.register("a", json.dumps(V1))
    second = registry.register("b", '{"type": "object", "properties": {"n": {"type": "integer"}}}', "JSON")
    values = [
        framed(first, avro(V1, {"n": i, "gone": "x"})) if i % 2 else framed(second, b'{"n": %d}' % i) for i in range(6)
    ]
    decoded = open_codec("registry", registry=registry.url).decode(records_of(values), None)
    assert decoded.batch.column("n").to_pylist() == list(range(6))
    assert decoded.batch.column("gone").to_pylist() == [None, "x"] * 3


# -------------------------------------------------------------------------------------------------- over HTTP


def test_errors_are_tried_again(registry, records_of, avro):
    """An error of the registry's own is tried again twice; then it is unreachable, which is no fault of a record."""
    (id,) = ids(registry, V1)
    values = [framed(id, avro(V1, {"n": 1, "gone": "x"}))]
    registry.fail(500, times=2)
    assert len(open_codec("avro", registry=registry.url).decode(records_of(values), None).rows) == 1
    assert len(registry.asked) == 3
    other = registry.register("other", json.dumps(V2))
    registry.fail(503)
    with pytest.raises(dp.SourceUnreachable, match=r"asked 3 times .*HTTP 503"):
        open_codec("avro", registry=registry.url).decode(records_of([framed(other, b"\0")]), None)


def test_nobody_there(records_of):
    """A registry that is not there is one clear error."""
    with Registry() as serving:
        url = serving.url
    with pytest.raises(dp.SourceUnreachable, match=f"no schema registry at {url} answers"):
        open_codec("avro", registry=url).decode(records_of([framed(1, b"")]), None)


def test_credentials(records_of, avro, tmp_path, monkeypatch):
    """Name and password stand in dataplat.toml, the password by reference; without them the error says where."""
    monkeypatch.chdir(tmp_path)
    with Registry(user=("me", "secret")) as serving:
        (id,) = ids(serving, V1)
        values = records_of([framed(id, avro(V1, {"n": 1, "gone": "x"}))])
        with pytest.raises(dp.SourceError, match=r'HTTP 401.*\[registries\."http'):
            open_codec("avro", registry=serving.url).decode(values, None)
        toml = tmp_path / "dataplat.toml"
        toml.write_text(f'[registries."{serving.url}"]\nusername = "me"\npassword = "env:REGISTRY_PASSWORD"\n')
        monkeypatch.setenv("REGISTRY_PASSWORD", "secret")
        assert len(open_codec("avro", registry=serving.url + "/").decode(values, None).rows) == 1
        assert "secret" not in repr(registry_at(serving.url))
        toml.write_text(f'[registries."{serving.url}"]\nusername = "me"\npassword = "secret"\n')
        with pytest.raises(dp.ConfigError, match="by reference"):
            open_codec("avro", registry=serving.url)
        toml.write_text(f'[registries."{serving.url}"]\nuser = "me"\n')
        with pytest.raises(dp.ConfigError, match="no setting 'user'"):
            open_codec("avro", registry=serving.url)


def test_certificates_are_verified(records_of, avro, tmp_path, monkeypatch):
    """A certificate of an authority that nobody trusts is refused at once; `ca_bundle` names whom to trust."""
    monkeypatch.chdir(tmp_path)
    certify(tmp_path)
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(tmp_path / "broker.pem")
    with Registry() as serving:
        serving._server.socket = secure.wrap_socket(serving._server.socket, server_side=True)
        url = serving.url.replace("http:", "https:")
        (id,) = ids(serving, V1)
        values = records_of([framed(id, avro(V1, {"n": 1, "gone": "x"}))])
        with pytest.raises(dp.SourceError, match="certificate is not trusted.*ca_bundle") as refused:
            open_codec("avro", registry=url).decode(values, None)
        assert not isinstance(refused.value, dp.SourceUnreachable)
        toml = tmp_path / "dataplat.toml"
        toml.write_text(f'[registries."{url}"]\nca_bundle = "nowhere.pem"\n')
        with pytest.raises(dp.ConfigError, match="no file .*nowhere.pem"):
            open_codec("avro", registry=url)
        toml.write_text(f'[registries."{url}"]\nca_bundle = "ca.pem"\n')
        assert len(open_codec("avro", registry=url).decode(values, None).rows) == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("registry:8081", "write the URL"),
        ("ftp://registry", "write the URL"),
        ("http://me:secret@localhost", "carries no credentials"),
    ],
)
def test_urls_that_are_none(url, says):
    """A URL that is none, or has a password in it, is refused without the password being said."""
    with pytest.raises(dp.ConfigError, match=says) as refused:
        open_codec("avro", registry=url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["json", "text", "bytes"])
def test_formats_without_schemas(name):
    """A format that has no schemas takes no registry."""
    with pytest.raises(dp.ConfigError, match=f"plain {name} needs no registry"):
        open_codec(name, registry="http://127.0.0.1:1")


def test_a_registry_and_a_schema():
    """The schema is in the registry, or given; not both."""
    with pytest.raises(dp.ConfigError, match="leave --schema out"):
        open_codec("avro", registry="http://127.0.0.1:1", schema=pa.schema([("n", pa.int64())]))


def test_something_else_answers(s3_server, records_of):
    """What answers and is no registry is named with what it said."""
    with pytest.raises(dp.SourceError, match="is no schema registry|refuses"):
        open_codec("avro", registry=s3_server.url).decode(records_of([framed(1, b"")]), None)
