"""What went wrong, as `application/problem+json` (RFC 9457): the field of the request that it is about, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from dataplat.errors import (
    ClosureMismatch,
    ConfigError,
    DataplatError,
    FeatureNotFound,
    KeyViolation,
    NotMaterialized,
    RefError,
    SchemaError,
    SourceError,
    StoreError,
)

MEDIA_TYPE: Final = b"application/problem+json"
KINDS: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {
        "malformed": (400, "The request cannot be read"),
        "unauthorized": (401, "Nobody is known by this API key"),
        "forbidden": (403, "The API key is not for this"),
        "not-found": (404, "There is nothing here"),
        "unknown-service": (404, "There is no such feature service"),
        "unknown-view": (404, "There is no such feature view"),
        "method-not-allowed": (405, "The method is not one of this address"),
        "not-acceptable": (406, "The answer cannot be given in a form that the request accepts"),
        "request-timeout": (408, "The request did not arrive in time"),
        "closure-mismatch": (409, "The model was trained under other definitions"),
        "conflict": (409, "The request does not fit what is there"),
        "length-required": (411, "The length of the body is missing"),
        "too-large": (413, "The body is too large"),
        "too-many-entities": (413, "The request is of too many entities"),
        "unsupported-media-type": (415, "The body is in a form that is not read here"),
        "invalid": (422, "A field of the request is wrong"),
        "header-too-large": (431, "The header is too large"),
        "internal": (500, "The server failed"),
        "overloaded": (503, "The server is at work on all that it takes"),
        "not-materialized": (503, "The service has no snapshot yet"),
        "store-unavailable": (503, "The online store does not answer"),
        "shutting-down": (503, "The server is ending"),
        "clock": (503, "The clock of the server is behind its data"),
        "deadline": (504, "The deadline of the request has passed"),
    }
)
"""By the last word of `type` (`urn:dataplat:problem:KIND`): the status, and the title."""
_TYPE: Final = "urn:dataplat:problem:"
_LATER: Final = frozenset({"overloaded", "not-materialized", "store-unavailable", "shutting-down", "clock"})


class Problem(Exception):
    """A request that is not answered as it was asked.

    Args:
        kind: one of `KINDS`.
        detail: what happened, and what to do.
        field: the field of the request, as `entities.airport[3]`.
        headers: more headers of the answer.
        more: more members of the body.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        field: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.field = kind, detail, field
        self.status, self.title = KINDS[kind]
        self.headers = headers
        if kind in _LATER and not any(name == b"retry-after" for name, _ in headers):
            self.headers = (*headers, (b"retry-after", b"1"))
        self.more = dict(more or {})

    def body(self, request_id: str) -> bytes:
        """Return it as JSON."""
        told: dict[str, Any] = {"type": _TYPE + self.kind, "title": self.title, "status": self.status}
        told["detail"] = self.detail
        if self.field is not None:
            told["field"] = self.field
        return msgspec.json.encode(told | self.more | {"request_id": request_id})


def problem_of(error: Exception) -> Problem:
    """Return what an error is for whoever asked; one that is not theirs says nothing of what is inside."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ClosureMismatch):
        return Problem(
            "closure-mismatch", str(error), field="closure", more={"sent": error.sent, "served": error.served}
        )
    if isinstance(error, NotMaterialized):
        return Problem("not-materialized", str(error))
    if isinstance(error, StoreError):
        return Problem("store-unavailable", "the online store does not answer; try again")
    if isinstance(error, RefError | FeatureNotFound):
        return Problem("not-found", str(error))
    if isinstance(error, SchemaError | KeyViolation | SourceError | ConfigError):
        return Problem("invalid", str(error))
    if isinstance(error, DataplatError):
        return Problem("conflict", str(error))
    return Problem("internal", "this is a defect of dataplat: its log has the traceback under the id of the request")
