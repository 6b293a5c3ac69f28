"""The rows of views whose features lie in one record: of some keys, where each key's are all that its features are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dataplat._features._sources import Pins, ViewSource
    from dataplat.feature_store.kernel.facts import Facts

    Words = NDArray[np.uint64]


def facts_of_keys(
    sources: Mapping[str, ViewSource], high: Words, low: Words, before: Pins | None = None
) -> tuple[dict[str, Facts], bool]:
    """Return the facts of some keys, by view, and whether they are of these keys alone.

    Where a correction moves an event of one of the views to another key they are of all keys, and of all views. So they are
    where one did at the versions `before`, and its row went since: what is kept of other keys is not what it was either.
    """
    apart = all(source.apart if before is None else source.apart_since(before) for source in sources.values())
    facts = {name: source.of_keys(high, low) if apart else source.whole for name, source in sources.items()}
    return facts, apart
