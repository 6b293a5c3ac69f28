"""The feature store that users hold: a thin façade over what is done with definitions and data."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataplat._lake import Lake


class FeatureStore:
    """Features of a lake: declared once, the same in training and in serving. Get it from `Lake.features`.

    Args:
        lake: the lake.
        branch: the branch on which definitions and sources are.
    """

    def __init__(self, lake: Lake, branch: str = "main") -> None:
        self.lake = lake
        self.branch = branch

    def __repr__(self) -> str:
        return f"FeatureStore({self.lake.url!r}, branch={self.branch!r})"
