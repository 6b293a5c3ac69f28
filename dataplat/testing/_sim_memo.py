"""What a simulation remembers of pure functions: one process decodes for all its writers what each would decode alone.

Reads still go through the writer's store, one by one, and fail there; only what follows from bytes alone (a hash, a
decoded record, the parts that a root and its segments say) is remembered by these bytes. An object that is gone, or
another than it was, is therefore met as before. Everything is forgotten when a history begins.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any

from dataplat.lake import _object_keys, stores, where
from dataplat.lake.digest import Digest
from dataplat.lake.objects import Objects
from dataplat.lake.stores import _keys
from dataplat.versioning import _frames, _json, _record, _seal, _table, commit, manifest, segments
from dataplat.versioning._index import leaves
from dataplat.versioning.erase import erase as _erase  # noqa: F401 - its modules must be there before they are patched

_caches: list[Callable[[], None]] = []
_depth = 0


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    cached = lru_cache(maxsize=None)(function)
    _caches.append(cached.cache_clear)
    return cached


def forget_remembered() -> None:
    """Forget everything; a simulated history begins with it."""
    for clear in _caches:
        clear()


_sha256 = _remembered(lambda data: sha256(data).hexdigest())
_original_check, _original_commit, _original_where = _object_keys.check, commit.decode_commit, where.parse_where


def _check(object_id: str, data: Any, where: str) -> None:
    if _sha256(data) != object_id:
        _original_check(object_id, data, where)


_commit = _remembered(_original_commit)


def _decode_commit(data: Any, what: str) -> Any:
    return _commit(bytes(data), what)


_wheres: dict[tuple[str, str], Any] = {}


def _parse_where(text: Any, schema: Any) -> Any:
    key = (str(text), schema.to_string())
    if key not in _wheres:
        _wheres[key] = _original_where(text, schema)
    return _wheres[key]


class _Table:
    """The parts of a version: put together once for a root, read each time."""

    def __get__(self, held: Any, owner: type) -> Any:
        root = held.root
        known = vars(root).get("table")
        if known is None:
            known = vars(root)["table"] = held.table()
        else:
            for ref in leaves(root.refs, held.read):
                if ref.parts or ref.overlays or ref.dropped:
                    _table.load_segment(ref, held.read)
        vars(held)["_table"] = known
        return known


def _without_lock(self: Any, held: Any, _owner: type | None = None) -> Any:
    """Compute a cached property as Python 3.12 does; 3.11 takes a lock, which one thread has no use for."""
    if held is None:
        return self
    values = vars(held)
    if self.attrname not in values:
        values[self.attrname] = self.func(held)
    return values[self.attrname]


_ables: dict[tuple[type, type], bool] = {}
_original_is: Callable[[Any, Any], bool] = getattr(type(stores.SupportsFiles), "__instancecheck__")  # noqa: B009


def _is_able(protocol: type, held: Any) -> bool:
    """Tell what a store is able to by its class, which is asked once."""
    if protocol.__module__ != stores.SupportsFiles.__module__:
        return _original_is(protocol, held)
    key = protocol, type(held)
    if key not in _ables:
        _ables[key] = _original_is(protocol, held)
    return _ables[key]


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    _object_keys.check: _check,
    _object_keys.object_key: _remembered(_object_keys.object_key),
    _object_keys.parse_key: _remembered(_object_keys.parse_key),
    _keys.check_key: _remembered(_keys.check_key),
    _keys.check_prefix: _remembered(_keys.check_prefix),
    _frames.unpack: _remembered(_frames.unpack),
    _json.object_id: _sha256,
    _record.decode_record: _remembered(_record.decode_record),
    _record.decode_tag: _remembered(_record.decode_tag),
    _record.record_key: _remembered(_record.record_key),
    _seal.unseal: _remembered(_seal.unseal),
    commit.decode_commit: _decode_commit,
    commit.decode_state: _remembered(commit.decode_state),
    manifest.decode_root: _remembered(manifest.decode_root),
    where.parse_where: _parse_where,
}
_MEMBERS: list[tuple[Any, str, Any]] = [
    (Digest, "decode", staticmethod(_remembered(Digest.decode))),
    (segments.Segment, "parts", _remembered(segments.Segment.parts)),
    (manifest.Manifest, "_table", _Table()),
    (Objects, "at_once", 1),
    (type(stores.SupportsFiles), "__instancecheck__", _is_able),
    (cached_property, "__get__", _without_lock),
    (typing, "_get_protocol_attrs", lru_cache(maxsize=None)(vars(typing)["_get_protocol_attrs"])),
]


@lru_cache(maxsize=1)
def _places() -> list[tuple[Any, str, Any, Any]]:
    """Return (module or class, name, what stands there, what remembers it): wherever a function was imported to."""
    found = [(owner, name, vars(owner)[name], other) for owner, name, other in _MEMBERS]
    for module in [module for name, module in sys.modules.items() if name.split(".")[0] == "dataplat"]:
        if module.__name__ == __name__:
            continue
        for name, value in vars(module).items():
            if callable(value) and getattr(value, "__hash__", None) and type(value).__name__ == "function":
                other = _FUNCTIONS.get(value)
                if other is not None:
                    found.append((module, name, value, other))
    return found


@contextmanager
def remembering() -> Iterator[None]:
    """Let pure functions of the lake remember what they returned; may be entered again inside."""
    global _depth  # noqa: PLW0603 - a history is run inside of what asks for many
    _depth += 1
    if _depth == 1:
        for owner, name, _, other in _places():
            setattr(owner, name, other)
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            for owner, name, original, _ in _places():
                setattr(owner, name, original)
