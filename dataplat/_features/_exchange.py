"""What is said to a feature server, and how its answers are understood: generators that do no input or output.

talk = Talk(url, key, timeout, retries).lookup("delay_model", {"airport": ["JFK"]})
ask = next(talk)                                   # what to send
ask = talk.send(Answered(status, headers, body))   # what came; then what to send next, or StopIteration with the result
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from dataplat import errors
from dataplat._features._fetched import Fetched
from dataplat._features._typed_json import column_of, said
from dataplat.config import Secret
from dataplat.errors import DataplatError, FeatureServerError, FeatureServerTimeout

if TYPE_CHECKING:
    import pyarrow as pa

JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"
MANY: Final = 200
"""Rows above which Arrow is spoken, and not JSON."""
_PAUSE: Final = 0.05
"""Seconds before something is tried again for the first time."""
_AGAIN: Final = frozenset({502, 503, 504})
_KINDS: Final[Mapping[str, str]] = {
    "closure-mismatch": "ClosureMismatch",
    "invalid": "SchemaError",
    "too-many-entities": "SchemaError",
    "not-materialized": "NotMaterialized",
    "unknown-service": "FeatureNotFound",
    "unknown-view": "FeatureNotFound",
    "unauthorized": "FeatureServerDenied",
    "forbidden": "FeatureServerDenied",
    "deadline": "FeatureServerTimeout",
    "request-timeout": "FeatureServerTimeout",
}
"""Which error a problem is, as the store itself would have raised it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What to send, after how many seconds, and how long to wait for an answer."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """Nothing came: the connection was lost, or nobody answered in time."""

    why: str
    late: bool = False


T = TypeVar("T")
Talking: TypeAlias = Generator[Ask, "Answered | Lost", T]


class Talk:
    """Talks to one server.

    Args:
        url: where it listens.
        key: where the API key lies, `env:NAME` or `file:PATH`.
        timeout: seconds for an answer, the tries together.
        retries: how often something is tried again.
    """

    def __init__(self, url: str, key: str | None, timeout: float, retries: int) -> None:
        self.url, self._timeout, self._retries = url, timeout, retries
        secret = None if key is None else Secret(key, "the API key of a feature server").reveal()
        self._headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
        self._types: dict[str, dict[str, pa.DataType]] = {}

    def lookup(
        self,
        service: str,
        entities: Mapping[str, Sequence[Any]],
        *,
        statuses: bool = False,
        ages: bool = False,
        closure: str | None = None,
    ) -> Talking[Fetched]:
        """Talk about features of entities."""
        rows = max((len(values) for values in entities.values()), default=1)
        if rows > MANY:
            query = {"service": service, "statuses": str(statuses).lower(), "ages": str(ages).lower()}
            query |= {} if closure is None else {"closure": closure}
            answer = yield from self._told(
                "POST",
                f"/features/lookup?{urlencode(query)}",
                _stream(entities),
                {"content-type": ARROW, "accept": ARROW},
            )
            return _of_arrow(answer)
        told: dict[str, Any] = {"service": service, "entities": {n: _listed(v) for n, v in entities.items()}}
        told |= {"statuses": statuses, "ages": ages} | ({} if closure is None else {"closure": closure})
        answer = yield from self._told("POST", "/features/lookup", msgspec.json.encode(told), {"content-type": JSON})
        found = msgspec.json.decode(answer.body)
        if found["service"] not in self._types:
            described = yield from self.service(found["service"])
            self._types[found["service"]] = _types(described)
        return _of_json(found, self._types[found["service"]])

    def push(self, view: str, rows: Any, idempotency: str) -> Talking[dict[str, Any]]:
        """Talk about rows of a view."""
        if hasattr(rows, "column_names") or hasattr(rows, "to_arrow"):
            table = rows if hasattr(rows, "column_names") else rows.to_arrow()
            query = urlencode({"view": view, "idempotency": idempotency})
            answer = yield from self._told("POST", f"/features/push?{query}", _written(table), {"content-type": ARROW})
        else:
            told = {"view": view, "rows": [said(dict(row)) for row in rows], "idempotency": idempotency}
            answer = yield from self._told("POST", "/features/push", msgspec.json.encode(told), {"content-type": JSON})
        found: dict[str, Any] = msgspec.json.decode(answer.body)
        return found

    def service(self, name: str) -> Talking[dict[str, Any]]:
        """Talk about what a service takes and gives."""
        answer = yield from self._told("GET", f"/features/services/{quote(name, safe='@')}")
        found: dict[str, Any] = msgspec.json.decode(answer.body)
        return found

    def ready(self) -> Talking[bool]:
        """Ask whether every service has a snapshot."""
        heard = yield Ask("GET", "/readyz", headers=self._headers, timeout=self._timeout)
        return isinstance(heard, Answered) and heard.status == 200

    def _told(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Talking[Answered]:
        """Ask until there is an answer, it is none that another try would change, or the time is over."""
        until, wait = time.monotonic() + self._timeout, 0.0
        for tried in range(self._retries + 1):
            left = max(0.001, until - time.monotonic() - wait)
            more = (
                {"dataplat-deadline-ms": str(max(1, int(left * 1000)))} if path.startswith("/features/lookup") else {}
            )
            heard = yield Ask(method, path, body, {**self._headers, **(headers or {}), **more}, wait, left)
            if isinstance(heard, Answered) and heard.status not in _AGAIN:
                if heard.status < 400:
                    return heard
                raise error_of(heard)
            wait = _pause(heard, tried)
            if time.monotonic() + wait >= until:
                break
        if isinstance(heard, Answered):
            raise error_of(heard)
        kind = FeatureServerTimeout if heard.late else FeatureServerError
        raise kind(f"the feature server at {self.url} gave no answer: {heard.why}")


def _pause(heard: Answered | Lost, tried: int) -> float:
    """Return how many seconds to wait before the next try: what the server says, at most twice as long each time."""
    usual: float = _PAUSE * 2.0**tried
    if isinstance(heard, Answered) and heard.headers.get("retry-after", "").isdigit():
        return min(float(heard.headers["retry-after"]), max(usual, 1.0))
    return usual


def error_of(answer: Answered) -> DataplatError:
    """Return the error that an answer is, as the store itself would have raised it."""
    try:
        problem = msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = {}
    word = str(problem.get("type", "")).rpartition(":")[2]
    detail = str(problem.get("detail") or f"the feature server answered {answer.status}")
    request_id = problem.get("request_id")
    said_of = f" ({problem['field']})" if problem.get("field") and str(problem["field"]) not in detail else ""
    message = f"{detail}{said_of}" + (f" [request {request_id}]" if request_id else "")
    kind = getattr(errors, _KINDS.get(word, "FeatureServerError"), FeatureServerError)
    if issubclass(kind, FeatureServerError):
        return kind(message, answer.status, request_id)
    if kind is errors.ClosureMismatch:
        return errors.ClosureMismatch(message, str(problem.get("sent", "")), str(problem.get("served", "")))
    found: DataplatError = kind(message)
    return found


# ---------------------------------------------------------------------------------------------------------- requests


def _listed(values: Any) -> list[Any]:
    """Return a column as JSON has it."""
    if hasattr(values, "to_pylist"):
        values = values.to_pylist()
    elif hasattr(values, "tolist"):
        values = values.tolist()
    return [said(value) for value in values]


def _stream(columns: Mapping[str, Any]) -> bytes:
    import pyarrow as pa

    return _written(pa.table({name: _column(values) for name, values in columns.items()}))


def _column(values: Any) -> pa.Array:
    import pyarrow as pa

    return values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)


def _written(table: pa.Table) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


# ----------------------------------------------------------------------------------------------------------- answers


def _types(described: Mapping[str, Any]) -> dict[str, pa.DataType]:
    from dataplat.lake.schema import parse_type

    return {name: parse_type(kind) for name, kind in described["features"].items()}


def _of_json(found: Mapping[str, Any], types: Mapping[str, pa.DataType]) -> Fetched:
    import pyarrow as pa

    columns = {name: column_of(values, types[name]) for name, values in found["features"].items()}
    return Fetched(
        pa.table(columns),
        found["service"],
        found["snapshot"],
        found["sequence"],
        datetime.fromisoformat(found["t"]),
        tuple(found["stale"]),
        found.get("statuses"),
        found.get("ages"),
    )


def _of_arrow(answer: Answered) -> Fetched:
    import pyarrow as pa

    with pa.ipc.open_stream(pa.py_buffer(answer.body)) as stream:
        table = stream.read_all()
    names = table.column_names
    asked = {end: [name for name in names if name.endswith(end)] for end in ("__status", "__age")}
    statuses = {name.removesuffix("__status"): table.column(name).to_pylist() for name in asked["__status"]}
    ages = {name.removesuffix("__age"): _seconds(table.column(name)) for name in asked["__age"]}
    head = answer.headers
    micros = int(head["dataplat-time"])
    return Fetched(
        table.select([name for name in names if not name.endswith(("__status", "__age"))]),
        head["dataplat-service"],
        head["dataplat-snapshot"],
        int(head["dataplat-sequence"]),
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros),
        tuple(filter(None, head.get("dataplat-stale", "").split(","))),
        statuses or None,
        ages or None,
    )


def _seconds(column: pa.ChunkedArray) -> list[float | None]:
    import pyarrow as pa

    return [None if value is None else value / 1e6 for value in column.cast(pa.int64()).to_pylist()]
