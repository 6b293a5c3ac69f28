"""Describes a pandera schema as stable text, so that equal contracts have equal ids on every machine."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import linecache
import textwrap
import types
from collections.abc import Callable, Sequence
from typing import Any

import pandera
from pandera.api.function_dispatch import Dispatcher

_PLAIN = (str, int, float, bool, bytes, type(None))
_COLLECTIONS = (dict, frozenset, list, set, tuple)


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
    return _changes(schema, ("coerce", "add_missing_columns")) | {
        "columns": [_column(name, column) for name, column in schema.columns.items()],
        "checks": [describe_check(check) for check in schema.checks],
        "dtype": str(schema.dtype),
        "strict": str(schema.strict),
        "ordered": bool(schema.ordered),
        "unique": _plain(schema.unique),
    }


def _changes(schema: Any, options: Sequence[str]) -> dict[str, Any]:
    """Return the options that change data, where they are set: plain schemas have the ids that they had."""
    found = {option: getattr(schema, option, None) for option in options}
    return {option: _plain(value) for option, value in found.items() if value not in (None, False)}


def _column(name: str, column: Any) -> dict[str, Any]:
    return _changes(column, ("coerce", "default")) | {
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
    parts = [pandera.__version__, asked, column, _plain(kind)]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def describe_check(check: Any) -> dict[str, Any]:
    """Return what a check asks as plain values; a custom one by its source text."""
    function = check._check_fn  # noqa: SLF001
    return {
        "name": str(check.name),
        "error": None if check.error is None else str(check.error),
        "parameters": _plain(check._check_kwargs),  # noqa: SLF001
        "ignore_na": bool(check.ignore_na),
        "element_wise": bool(check.element_wise),
        "warning": bool(check.raise_warning),
        "code": None if isinstance(function, Dispatcher) else _code(function, ()),
    }


def _plain(value: Any) -> Any:
    """Return a value in a form whose JSON does not depend on hash order."""
    if isinstance(value, float):
        return repr(value)
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(json.dumps(_plain(each), sort_keys=True) for each in value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return f"{type(value).__name__}:{value}"


def _code(function: Any, seen: tuple[Any, ...]) -> Any:
    """Return source text of a function, and what it closes over: pandera wraps methods of models in closures."""
    if isinstance(function, functools.partial):
        bound = _plain([function.args, function.keywords])
        return {"bound": bound, "function": _code(function.func, seen)}
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType):
        return f"{type(function).__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    if function in seen:
        return "itself"
    inner = (*seen, function)
    used = {name: function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__}
    return {
        "source": _source(function),
        "defaults": _plain([function.__defaults__, function.__kwdefaults__]),
        "closure": [_enclosed(cell, inner) for cell in function.__closure__ or ()],
        "globals": {name: _used(value, function, inner) for name, value in used.items()},
    }


def _used(value: Any, user: types.FunctionType, seen: tuple[Any, ...]) -> Any:
    """Describe a global that a check uses: constants and functions of its own file, whose change changes it."""
    if isinstance(value, types.FunctionType):
        own = value.__module__ == user.__module__
        return _code(value, seen) if own else f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, (*_PLAIN, *_COLLECTIONS)):
        return _plain(value)
    return str(getattr(value, "__name__", type(value).__name__))


def _enclosed(cell: types.CellType, seen: tuple[Any, ...]) -> Any:
    try:
        value = cell.cell_contents
    except ValueError:  # not yet assigned
        return None
    value = getattr(value, "check_fn", value)  # how pandera keeps the method of a model
    if callable(value) and not isinstance(value, type):
        return _code(value, seen)
    return _plain(value) if isinstance(value, (*_PLAIN, *_COLLECTIONS)) else type(value).__name__


def _source(function: Callable[..., Any]) -> str:
    linecache.checkcache(function.__code__.co_filename)
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # typed at a prompt, or built by exec
        code = function.__code__
        return f"{code.co_code.hex()} {[c for c in code.co_consts if isinstance(c, _PLAIN)]!r} {code.co_names!r}"
