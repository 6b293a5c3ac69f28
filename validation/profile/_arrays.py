"""Arrow arrays laid bare: of plain types, as numpy arrays, and as hashes."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.lake._hashing import mix
from dataplat.lake._hashing_arrays import Bare, salts

Array: TypeAlias = np.ndarray[Any, Any]


def bare(array: pa.Array) -> pa.Array:
    """Return an array of a plain type: extension types, runs and dictionaries are seen through."""
    while True:
        if isinstance(array.type, pa.BaseExtensionType):
            array = array.storage
        elif isinstance(array.type, pa.RunEndEncodedType):
            array = pc.call_function("run_end_decode", [array])
        elif isinstance(array.type, pa.DictionaryType):
            array = array.dictionary_decode()
        else:
            return array


def hashes_of(array: pa.Array, role: str = "value") -> Array:
    """Return a hash (uint64) for each value of an array without nulls, as the content id has it.

    Equal values have equal hashes, whatever their width, unit or encoding; in another role they have others.
    """
    return word_hashes(Bare().words(array).lane0, array.type, role)


def word_hashes(words: Array, kind: pa.DataType, role: str = "value") -> Array:
    """Return the hashes of values of a type that are there as words already."""
    return mix(0, words ^ np.uint64(salts(role, kind)[0]))
