"""The OpenAPI document: what FastAPI says of its routes, the hot route, and bodies in the types of what is served."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from dataplat._features._typed_json import schema
from dataplat.server import _arrow
from dataplat.server._problems import KINDS
from dataplat.server._problems import MEDIA_TYPE as PROBLEM
from dataplat.server._services import Service, Services
from dataplat.server._settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_ARROW: Final = _arrow.MEDIA_TYPE.decode()
_ID: Final = {
    "X-Request-Id": {
        "description": "the id of the request, the caller's own or a new one",
        "schema": {"type": "string"},
    }
}
_ANY_TIME: Final = (401, 403, 503)
_OF: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    "healthz": ("The process answers", (503,)),
    "readyz": ("Every service has a snapshot", (503,)),
    "metrics": ("Metrics, in Prometheus's text format", _ANY_TIME),
    "list_services": ("What is served", _ANY_TIME),
    "show_service": ("What it takes and gives", (*_ANY_TIME, 404)),
    "push": ("The rows are durable, and served", (400, 401, 403, 404, 408, 409, 413, 415, 422, 503)),
}
_LOOKUP: Final = (400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 422, 503, 504)


def of(name: str) -> dict[str, Any]:
    """Return what FastAPI is told of a route."""
    about, statuses = _OF[name]
    kind = "text/plain" if name == "metrics" else "application/json"
    body = {"type": "string"} if name == "metrics" else {"type": "object"}
    told: dict[str, Any] = {
        "responses": {
            "200": {"description": about, "content": {kind: {"schema": body}}, "headers": _ID},
            **_problems(statuses),
        }
    }
    if name == "readyz":
        either = {"schema": {"type": "object"}}
        told["responses"]["503"]["content"] = {"application/json": either, PROBLEM.decode(): either}
    if name == "push":
        told["openapi_extra"] = {"requestBody": {"required": True, "content": {"application/json": {"schema": _PUSH}}}}
    return told


_PUSH: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["view", "rows"],
    "additionalProperties": False,
    "properties": {
        "view": {"type": "string"},
        "rows": {"type": "array", "items": {"type": "object"}},
        "idempotency": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, {"type": "null"}]
        },
    },
}


def document(app: FastAPI, services: Services, settings: Settings) -> dict[str, Any]:
    """Return the whole document, of what is served now."""
    from fastapi.openapi.utils import get_openapi

    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas.clear()  # those of FastAPI's own errors, which it never answers with here
    schemas["Problem"] = _PROBLEM
    if settings.keys:
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"key": []}]
        for path in ("/healthz", "/readyz"):
            made["paths"][path]["get"]["security"] = []
    asked, answered = [], []
    for service in services.all():
        name = service.space.replace("@", "_")
        schemas[f"Lookup_{name}"] = _request(service, settings.max_entities, _names(service, services))
        schemas[f"Features_{name}"] = _answer(service)
        asked.append({"$ref": f"#/components/schemas/Lookup_{name}"})
        answered.append({"$ref": f"#/components/schemas/Features_{name}"})
    views = sorted({view.name for service in services.all() for view in service.serving.plan.service.views})
    if views:
        body = made["paths"]["/features/push"]["post"]["requestBody"]["content"]["application/json"]
        body["schema"] = {**_PUSH, "properties": {**_PUSH["properties"], "view": {"type": "string", "enum": views}}}
    made["paths"] = {"/features/lookup": {"post": _lookup(asked, answered)}, **_responses(made["paths"])}
    return made


def _responses(paths: dict[str, Any]) -> dict[str, Any]:
    """Leave out the answer that FastAPI adds to every route with parameters, and that is not given here."""
    for methods in paths.values():
        for told in methods.values():
            if told["operationId"] != "push":
                told["responses"].pop("422", None)
    return paths


def _names(service: Service, services: Services) -> list[str]:
    """Return the names by which a service is called: the one without a version, too, where it means this one."""
    return [service.space, *([service.name] if services.find(service.name) is service else [])]


def _lookup(asked: list[dict[str, str]], answered: list[dict[str, str]]) -> dict[str, Any]:
    any_body: dict[str, Any] = {"type": "object", "required": ["service"]}
    header = {"in": "header", "required": False}
    return {
        "operationId": "lookup",
        "summary": "Features of entities, now",
        "description": "Columns of keys in, columns of features out, all of one snapshot and one moment. The service of an "
        "Arrow body is named in the address: `?service=…`, as are `closure`, `statuses` and `ages`.",
        "parameters": [
            {**header, "name": "Dataplat-Deadline-Ms", "schema": {"type": "integer", "minimum": 1}},
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"oneOf": asked} if asked else any_body},
                _ARROW: {"schema": {"type": "string", "format": "binary"}},
            },
        },
        "responses": {
            "200": {
                "description": "The features",
                "headers": {"Dataplat-Snapshot": {"schema": {"type": "string"}}, **_ID},
                "content": {
                    "application/json": {"schema": {"oneOf": answered} if answered else {"type": "object"}},
                    _ARROW: {"schema": {"type": "string", "format": "binary"}},
                },
            },
            **_problems(_LOOKUP),
        },
    }


def _problems(statuses: Iterable[int]) -> dict[str, Any]:
    titles: dict[int, str] = {}
    for status, title in KINDS.values():
        titles.setdefault(status, title)
    content = {PROBLEM.decode(): {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {str(status): {"description": titles[status], "content": content, "headers": _ID} for status in statuses}


_PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "enum": [f"urn:dataplat:problem:{kind}" for kind in KINDS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string", "description": "the field of the request that it is about"},
        "request_id": {"type": "string"},
    },
}


def _request(service: Service, most: int, names: list[str]) -> dict[str, Any]:
    keys = service.read.kinds
    columns = {name: _column(schema(kind), most) for name, kind in keys.items()}
    needed = {name: columns[name] for name in service.entities}
    rest = {name: columns[name] for name in service.request if name not in service.entities}
    properties = {
        "service": {"type": "string", "enum": names},
        "entities": _object(needed, needed),
        "closure": {"enum": [service.closure, None]},
        "statuses": {"type": "boolean"},
        "ages": {"type": "boolean"},
    }
    if rest:
        properties["request"] = _object(rest, rest)
    required = ["service", *(["entities"] if needed else []), *(["request"] if rest else [])]
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


def _answer(service: Service) -> dict[str, Any]:
    values = {name: _column(schema(kind)) for name, kind in service.types.items()}
    words = {name: _column({"type": "string"}) for name in service.types}
    ages = {name: _column({"type": "number"}) for name in service.types}
    required = ["service", "snapshot", "sequence", "t", "stale", "features"]
    properties = {
        "service": {"const": service.space},
        "snapshot": {"type": "string"},
        "sequence": {"type": "integer"},
        "t": {"type": "string", "format": "date-time"},
        "stale": {"type": "array", "items": {"type": "string"}, "description": "views whose snapshot is too old"},
        "features": _object(values, values),
        "statuses": _object(words, ()),
        "ages": _object(ages, ()),
    }
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


def _object(properties: dict[str, Any], required: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | ({"required": needed} if (needed := list(required)) else {})


def _column(kind: dict[str, Any], most: int | None = None) -> dict[str, Any]:
    items = {"anyOf": [kind, {"type": "null"}]}
    return {"type": "array", "items": items} | ({} if most is None else {"maxItems": most})
