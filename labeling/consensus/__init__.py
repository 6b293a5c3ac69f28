"""One answer from those of many people: votes, how they are weighed, and what is known of those who gave them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat.labeling.consensus._consensus import consensus
    from dataplat.labeling.consensus.choices import consensus_of_choices
    from dataplat.labeling.consensus.regions import RegionConsensus, consensus_regions
    from dataplat.labeling.consensus.result import Consensus
    from dataplat.labeling.consensus.votes import votes_of

__all__ = ["Consensus", "RegionConsensus", "consensus", "consensus_of_choices", "consensus_regions", "votes_of"]

_HOMES = {
    "Consensus": "result",
    "RegionConsensus": "regions",
    "consensus": "_consensus",
    "consensus_of_choices": "choices",
    "consensus_regions": "regions",
    "votes_of": "votes",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
