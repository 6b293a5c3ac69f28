"""Describes a pandera schema as stable text, so that equal contracts have equal ids on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pandera
from pandera.api.function_dispatch import Dispatcher

from dataplat.validation._described import code, plain


def contract_id(name: str, schema: Any, beside: tuple[list[dict[str, Any]], str | None, str]) -> str:
    """Return the SHA-256 (hex) of the name, the description of the schema, pandera's version, and what is `beside`.

    That is the description of rules, environment and severity; plain ones change no id.
    """
    described: dict[str, Any] = {"name": name, "pandera": pandera.__version__, "schema": describe(schema)}
    rules, environment, severity = beside
    if rules or environment or severity != "error":
        described |= {"rules": rules, "environment": environment, "severity": severity}
    text = json.dumps(described, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def describe(schema: Any) -> dict[str, Any]:
    """Return columns, types and checks of a schema as plain values; custom checks by their source text."""
    return (_changes(schema, ("coerce", "add_missing_columns")) | _parsers(schema)) | {
        "columns": [_column(name, column) for name, column in schema.columns.items()],
        "checks": [describe_check(check) for check in schema.checks],
        "dtype": str(schema.dtype),
        "strict": str(schema.strict),
        "ordered": bool(schema.ordered),
        "unique": plain(schema.unique),
    }


def _changes(schema: Any, options: Sequence[str]) -> dict[str, Any]:
    """Return the options that change data, where they are set: plain schemas have the ids that they had."""
    found = {option: getattr(schema, option, None) for option in options}
    return {option: plain(value) for option, value in found.items() if value not in (None, False)}


def _parsers(owner: Any) -> dict[str, Any]:
    found = [
        [str(each.name), bool(each.element_wise), code(each._parser_fn), plain(each._parser_kwargs)]  # noqa: SLF001
        for each in getattr(owner, "parsers", None) or ()
    ]
    return {"parsers": found} if found else {}


def _column(name: str, column: Any) -> dict[str, Any]:
    where = (column.metadata or {}).get("environment")
    return (
        _changes(column, ("coerce", "default"))
        | _parsers(column)
        | ({} if where is None else {"environment": str(where)})
    ) | {
        "name": str(name),
        "dtype": str(column.dtype),
        "nullable": bool(column.nullable),
        "unique": bool(column.unique),
        "required": bool(column.required),
        "regex": bool(column.regex),
        "checks": [describe_check(check) for check in column.checks],
    }


def check_id(asked: object, column: object, kind: object) -> str:
    """Return the hash (32 hex digits) of what is asked of which column, of which type, by which pandera."""
    parts = [pandera.__version__, asked, column, plain(kind)]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def describe_check(check: Any) -> dict[str, Any]:
    """Return what a check asks as plain values; a custom one by its source text."""
    function = check._check_fn  # noqa: SLF001
    return {
        "name": str(check.name),
        "error": None if check.error is None else str(check.error),
        "parameters": plain(check._check_kwargs),  # noqa: SLF001
        "ignore_na": bool(check.ignore_na),
        "element_wise": bool(check.element_wise),
        "warning": bool(check.raise_warning),
        "code": None if isinstance(function, Dispatcher) else code(function),
    }
