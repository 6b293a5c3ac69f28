"""Whether to trust data: contracts, checked before a branch moves."""

from typing import TYPE_CHECKING, Any

if not __name__.startswith("dataplat."):  # a second copy of every class would differ from the first
    raise ImportError("import it as dataplat.validation: the repository root on sys.path gives a second copy")

from dataplat.validation._pandera import keep_spark_out

if TYPE_CHECKING:
    from dataplat.validation.contract import Contract
    from dataplat.validation.loading import load_contract
    from dataplat.validation.report import CheckOutcome, Example, Report, Tally
    from dataplat.validation.verdict import BatchVerdict

keep_spark_out()

__all__ = ["BatchVerdict", "CheckOutcome", "Contract", "Example", "Report", "Tally", "load_contract"]

_HOMES = {
    "BatchVerdict": "verdict",
    "CheckOutcome": "report",
    "Contract": "contract",
    "Example": "report",
    "Report": "report",
    "Tally": "report",
    "load_contract": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
