"""Describes code, and the values that it uses, as plain values: an equal description asks the same.

What a check says of a value depends on more than its own lines: on the constants, functions and classes that it names,
and on what it closes over. All of them are described as far as they are the user's own; of an installed package the
name will do. Of what cannot be described (a lock, an open file) nobody can say that it is the same again, so its
description is one of a kind: verdicts that rest on it are never taken for those of another run.
"""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import inspect
import json
import linecache
import pickle
import re
import sys
import sysconfig
import textwrap
import types
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import polars as pl
from pandera.api.base.model import BaseModel
from pandera.api.base.model_components import BaseCheckInfo, BaseParserInfo
from polars.datatypes import DataTypeClass

_COLLECTIONS: Final = (dict, frozenset, list, set, tuple)
_WORDED: Final = (pl.DataType, DataTypeClass)
_PLAIN: Final = (str, int, float, bool, bytes, type(None))
_INSTALLED: Final = tuple(
    str(Path(sysconfig.get_path(each)).resolve()) for each in ("stdlib", "platstdlib", "purelib", "platlib")
)
_WORDS: Final = frozenset({"datetime", "decimal", "fractions", "ipaddress", "pathlib", "uuid", "zoneinfo"})
"""Modules whose values say in their text all that they are."""
_NO_STATE: Final = frozenset({"__dict__", "__weakref__", "__doc__", "__module__", "__slots__", "__annotations__"})

_Seen: TypeAlias = "dict[int, Any]"
"""What was described already, by its identity: it is described once."""


def plain(value: Any) -> Any:
    """Return a value in a form whose JSON depends neither on hash order nor on where it lies in memory."""
    return _described(value, {})


def code(function: Any) -> Any:
    """Return what a function does: its source text, and what it uses."""
    return _code(function, {})


def _described(value: Any, seen: _Seen) -> Any:
    if isinstance(value, _COLLECTIONS):
        return _collection(value, seen)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, _PLAIN) and not isinstance(value, enum.Enum):
        return ["bytes", value.hex()] if isinstance(value, bytes) else value
    if isinstance(value, _WORDED) or type(value).__module__ in _WORDS:
        return f"{type(value).__name__}:{value}"
    if isinstance(value, re.Pattern):
        return ["pattern", value.pattern, value.flags]
    return _thing(value, seen)


def _collection(value: Any, seen: _Seen) -> Any:
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): _described(each, seen) for key, each in value.items()}
    found = [_described(each, seen) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(json.dumps(each, sort_keys=True, default=str) for each in found)
    return found


def _thing(value: Any, seen: _Seen) -> Any:
    """Describe what is no plain value: what code is made of, or an object."""
    if isinstance(value, types.ModuleType):
        return _module(value)
    if isinstance(value, type):
        return _class(value, seen)
    if isinstance(value, enum.Enum):
        return [_class(type(value), seen), value.name]
    if isinstance(value, types.FunctionType | types.MethodType | functools.partial):
        return _code(value, seen)
    if isinstance(value, types.BuiltinFunctionType) and not isinstance(value.__self__, types.ModuleType | None):
        return [value.__name__, _described(value.__self__, seen)]
    return _instance(value, seen)


def _instance(value: Any, seen: _Seen) -> Any:
    """Describe an object by its class and its state, or by its pickle where its class is an installed one."""
    if id(value) in seen:
        return "seen"
    seen[id(value)] = value
    kind = type(value)
    if _is_users(kind.__module__):
        state = {name: getattr(value, name) for name in _slots(kind) if hasattr(value, name)}
        state |= getattr(value, "__dict__", {})
        return {"of": _class(kind, seen), "state": {name: _described(each, seen) for name, each in state.items()}}
    try:
        return [kind.__name__, hashlib.sha256(pickle.dumps(value, protocol=4)).hexdigest()]
    except Exception:  # noqa: BLE001 - whatever is wrong with it: it cannot be described
        return ["one of a kind", kind.__name__, uuid.uuid4().hex]


def _slots(kind: type) -> Iterator[str]:
    for each in kind.__mro__:
        names = each.__dict__.get("__slots__", ())
        yield from (names,) if isinstance(names, str) else names


def _module(module: types.ModuleType) -> Any:
    """Describe a module of the user's by its text, another one by its name."""
    file = getattr(module, "__file__", None)
    if file is None or not _is_users(module.__name__):
        return module.__name__
    try:
        return [Path(file).name, hashlib.sha256(Path(file).read_bytes()).hexdigest()]
    except OSError:
        return [module.__name__, uuid.uuid4().hex]


def _is_users(name: str | None) -> bool:
    """Tell whether a module is neither of Python nor installed: its text may change under its name."""
    module = sys.modules.get(name or "")
    if module is None:
        return True
    file = getattr(module, "__file__", None)
    if file is None:
        return name == "__main__"
    return str(name).partition(".")[0] not in {"dataplat", "pandera"} and not _is_installed(file)


@functools.cache
def _is_installed(file: str) -> bool:
    path = Path(file).resolve()
    return str(path).startswith(_INSTALLED) or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _class(kind: type, seen: _Seen) -> Any:
    """Describe a class of the user's by its text and by what its attributes are, another one by its name."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    if not _is_users(kind.__module__):
        return name
    if id(kind) in seen:
        return f"seen {kind.__qualname__}"
    seen[id(kind)] = kind
    known = {"class": kind.__qualname__, "source": _source(kind)}
    if issubclass(kind, BaseModel):  # its checks are described one by one
        return known
    if issubclass(kind, enum.Enum):
        return known | {"members": {each.name: _described(each.value, seen) for each in kind}}
    own = {each: getattr(at, "__func__", at) for each, at in vars(kind).items() if each not in _NO_STATE}
    bases = [_class(base, seen) for base in kind.__bases__ if base is not object]
    return known | {"bases": bases, "own": {each: _attribute(at, seen) for each, at in own.items()}}


def _attribute(value: Any, seen: _Seen) -> Any:
    if isinstance(value, property):
        return [_described(each, seen) for each in (value.fget, value.fset, value.fdel)]
    if isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType):
        return "slot"
    return _described(value, seen)


def _code(function: Any, seen: _Seen) -> Any:
    """Return source text of a function, and what it closes over: pandera wraps methods of models in closures."""
    if isinstance(function, functools.partial):
        bound = _described([function.args, function.keywords], seen)
        return {"bound": bound, "function": _code(function.func, seen)}
    owner = getattr(function, "__self__", None)
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType):
        return _described(function, seen)
    if id(function) in seen:
        return f"seen {function.__qualname__}"
    seen[id(function)] = function
    found = {
        "defaults": _described([function.__defaults__, function.__kwdefaults__], seen),
        "closure": _closure(function, seen),
    }
    if _is_users(function.__module__):
        used = {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}
        found |= {"source": _source(function), "globals": {name: _described(each, seen) for name, each in used.items()}}
    else:
        found["name"] = f"{function.__module__}.{function.__qualname__}"
    if owner is not None and _uses_first(function):
        found["self"] = _described(owner, seen)
    return found


def _names(code: types.CodeType) -> list[str]:
    """Return the names that code looks up, those of functions and comprehensions in it too."""
    found = dict.fromkeys(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found |= dict.fromkeys(_names(inner))
    return list(found)


def _uses_first(function: types.FunctionType) -> bool:
    """Tell whether a method looks at what it is called on."""
    given = function.__code__.co_varnames[:1]
    inner = given and given[0] in function.__code__.co_cellvars
    return bool(inner) or any(
        each.argval in given and each.opname.startswith("LOAD_") for each in dis.get_instructions(function)
    )


def _closure(function: types.FunctionType, seen: _Seen) -> list[Any]:
    """Describe what a function closes over; a method of a pandera model with what it uses of its model."""
    found = [_content(cell) for cell in function.__closure__ or ()]
    methods = [each.check_fn for each in found if isinstance(each, BaseCheckInfo)]
    methods += [each.parser_fn for each in found if isinstance(each, BaseParserInfo)]
    if not methods:
        return [_described(each, seen) for each in found]
    names = [name for each in methods for name in _names(getattr(each, "__func__", each).__code__)]
    models = [each for each in found if isinstance(each, type)]
    used = {name: getattr(kind, name) for kind in models for name in names if hasattr(kind, name)}
    return [_described(each, seen) for each in (*methods, used)]


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return None


def _source(function: Callable[..., Any] | type) -> str:
    try:
        if isinstance(function, types.FunctionType):
            linecache.checkcache(function.__code__.co_filename)
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # typed at a prompt, or built by exec
        return _compiled(function.__code__) if isinstance(function, types.FunctionType) else ""


def _compiled(code: types.CodeType) -> str:
    inner = [_compiled(each) for each in code.co_consts if isinstance(each, types.CodeType)]
    return f"{code.co_code.hex()} {[c for c in code.co_consts if isinstance(c, _PLAIN)]!r} {code.co_names!r} {inner!r}"
