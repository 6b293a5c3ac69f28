"""Values as records have them, and as Arrow gives them to Python: times are counts in the one, and times in the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dataplat.errors import SchemaError

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.feature_store.definitions import Field
    from dataplat.feature_store.online.plan import Base


def natural(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return values of records as an Arrow column of their type."""
    import pyarrow as pa

    if pa.types.is_temporal(kind):
        return pa.array(values, _counts(kind)).cast(kind)
    if pa.types.is_list(kind) and pa.types.is_temporal(kind.value_type):
        return pa.array(values, pa.list_(_counts(kind.value_type))).cast(kind)
    return pa.array(values, kind)


def raw_default(base: Base, feature: Field) -> Any:
    """Return the default of a feature as records have values; raise `SchemaError` where it is none of its type."""
    import pyarrow as pa

    if feature.default is None:
        return None
    kind = base.types[feature.column]
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    try:
        found = pa.scalar(feature.default, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise SchemaError(
            f"{base.name}: the default {feature.default!r} of {feature.feature} is no {kind}: {error}"
        ) from error
    return found.cast(_counts(kind)).as_py() if pa.types.is_temporal(kind) else found.as_py()


def _counts(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return pa.int32() if kind.bit_width == 32 else pa.int64()
