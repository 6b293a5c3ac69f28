"""Records with given values, and registries that nothing is remembered of."""

from __future__ import annotations

import io

import fastavro
import numpy as np
import pyarrow as pa
import pytest

from dataplat.connectors.codecs import Records
from dataplat.connectors.codecs._registry import forget_schemas


@pytest.fixture(autouse=True)
def _fresh_registries():
    forget_schemas()


@pytest.fixture(scope="session")
def records_of():
    """Return a function that makes records with these values."""

    def made(values):
        count = len(values)
        keys = pa.nulls(count, pa.binary())
        times = np.zeros(count, np.int64)
        return Records("flights", 0, np.arange(count, dtype=np.int64), times, keys, pa.array(values, pa.binary()))

    return made


@pytest.fixture(scope="session")
def avro():
    """Return a function that writes a value by fastavro, without any frame."""

    def written(schema, value):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
        return out.getvalue()

    return written
