"""The stored objects of a lake, each hashed once under every key that it has."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dataplat.errors import ObjectNotFound, StoreError
from dataplat.lake._object_keys import FOLDER, object_key
from dataplat.lake.stores import SupportsFiles, SupportsUrl

if TYPE_CHECKING:
    from dataplat.lake.stores import Store
    from dataplat.versioning.needs import Name
    from dataplat.versioning.verify._report import Kind

_KEY: Final = re.compile(r"objects/([0-9a-f]{2})/([0-9a-f]{62})(?:~[0-9a-f]{8})?(\.[a-z]+)")

Damage = tuple["Kind", str]


def name_of(key: str) -> Name | None:
    """Return id and suffix of the object at a key, whichever generation it is; None where it is no object's."""
    found = _KEY.fullmatch(key)
    return None if found is None else (found[1] + found[2], found[3])


class Shelf:
    """Hashes objects under their keys, and says what is wrong with those that are not what they are named by.

    `told` is given the bytes of each object. With `whole` all keys are listed at once, else each object's when asked.
    """

    def __init__(self, store: Store, told: Callable[[int], object], *, whole: bool) -> None:
        self.damage: dict[str, Damage] = {}
        self.checked: dict[Name, bool] = {}
        self.strangers: list[str] = []
        self._store, self._told = store, told
        self._keys: dict[Name, list[str]] | None = None
        if whole:
            self._keys = defaultdict(list)
            for info in store.list(f"{FOLDER}/"):
                name = name_of(info.key)
                if name is None:
                    self.strangers.append(info.key)
                else:
                    self._keys[name].append(info.key)

    def keys(self, name: Name) -> list[str]:
        """Return the keys of an object, its plain one first."""
        if self._keys is None:
            prefix = object_key(name[0], "")
            found = [info.key for info in self._store.list(prefix) if name_of(info.key) == name]
        else:
            found = self._keys.get(name, [])
        return sorted(found, key=lambda key: (key != object_key(*name), key))

    def unchecked(self) -> list[Name]:
        """Return the stored objects that were not asked for."""
        return sorted((self._keys or {}).keys() - self.checked.keys())

    def check(self, name: Name, size: int = 0) -> bool:
        """Return whether reading an object gives what was written; `size` are its bytes, where that is known."""
        if name not in self.checked:
            keys = self.keys(name)
            if not keys:
                self.damage[object_key(*name)] = ("missing", "there is no such object in the store")
            good = [self._check_key(key, name[0], size) for key in keys]
            self.checked[name] = bool(good) and good[0]  # the others are read only where the plain key is missing
        return self.checked[name]

    def bad_keys(self, name: Name) -> list[str]:
        """Return the damaged keys of an object that was checked."""
        return [key for key in dict.fromkeys([object_key(*name), *self.keys(name)]) if key in self.damage]

    def _check_key(self, key: str, object_id: str, size: int) -> bool:
        try:
            found, nbytes = self._hash(key)
        except ObjectNotFound:
            self.damage[key] = ("missing", "there is no such object in the store")
            return False
        except StoreError as error:
            self.damage[key] = ("unreadable", str(error))
            return False
        self._told(nbytes)
        if found == object_id:
            return True
        self.damage[key] = self._described(key, found, nbytes, size)
        return False

    def _described(self, key: str, found: str, nbytes: int, size: int) -> Damage:
        suffix = key[key.index(".") :]
        if nbytes == 0:
            return "truncated", "it is empty"
        if self.keys((found, suffix)):
            return "swapped", f"it holds object {found}{suffix}"
        if nbytes < size or (not size and suffix == ".json" and not self._store.read(key).endswith(b"}")):
            of = f" of {size:,}" if size else ""
            return "truncated", f"it has {nbytes:,} bytes{of}"
        return "changed", f"its {nbytes:,} bytes have the SHA-256 {found}"

    def _hash(self, key: str) -> tuple[str, int]:
        if isinstance(self._store, SupportsFiles) and isinstance(self._store, SupportsUrl):
            path = Path(self._store.url(key))
            if path.exists():
                with path.open("rb") as file:
                    return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
        data = self._store.read(key)
        return hashlib.sha256(data).hexdigest(), len(data)
