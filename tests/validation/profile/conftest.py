"""Profiles of single columns."""

import pyarrow as pa
import pytest

from dataplat.validation.profile._column import merge
from dataplat.validation.profile._measure import measured


@pytest.fixture
def column_of():
    """Return the profile of one column, of one part or of several merged."""

    def one(values, kind=None):
        array = values if isinstance(values, pa.Array) else pa.array(values, kind)
        data = pa.table({"x": array})
        return measured(data.to_batches(), data.schema)["x"]

    return lambda *parts, kind=None: merge([one(part, kind) for part in parts])
