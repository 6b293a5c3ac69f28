"""Orders as values: what is looked at, and how; a queue's definition keeps them as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from dataplat.errors import ConfigError
from dataplat.lake.schema import did_you_mean

Unsure: TypeAlias = Literal["entropy", "margin", "least"]
Dissent: TypeAlias = Literal["vote", "kl"]


class _Order(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="order"
):
    """What all orders share: whether they sample, and what share of the draws is by pure chance."""

    audit: float | None = None

    def __post_init__(self) -> None:
        if self.audit is not None and not 0 < self.audit <= 1:
            raise ConfigError(f"the audit is a share of the draws, above 0 and at most 1, not {self.audit}")

    @property
    def samples(self) -> bool:
        """Whether tasks are drawn at rates, so that what is labelled speaks for all of them."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Uncertainty(_Order, frozen=True, tag="uncertainty"):
    """See `uncertainty`."""

    ref: str
    kind: Unsure | None = None


class Committee(_Order, frozen=True, tag="committee"):
    """See `committee`."""

    refs: tuple[str, ...]
    columns: tuple[str, ...] = ()
    kind: Dissent | None = None


class Diversity(_Order, frozen=True, tag="diversity"):
    """See `diversity`."""

    columns: tuple[str, ...]
    ref: str | None = None
    centres: int = 1_000
    seed: int = 0

    @property
    def samples(self) -> bool:
        """The farthest comes next: that is no sample."""
        return False


class DriftSlice(_Order, frozen=True, tag="drift_slice"):
    """See `drift_slice`."""

    against: str
    column: str | None = None


class Outliers(_Order, frozen=True, tag="outliers"):
    """See `outliers`."""

    columns: tuple[str, ...] | None = None
    method: str = "robust_z"
    bound: float | None = None


class Corrections(_Order, frozen=True, tag="corrections"):
    """See `corrections`."""

    ref: str
    time: str | None = None


class Sql(_Order, frozen=True, tag="sql"):
    """See `sql`."""

    text: str

    @property
    def samples(self) -> bool:
        """Whether the text is a score; one that begins with `order by` is an order."""
        return self.text.lower().split()[:2] != ["order", "by"]


class Random(_Order, frozen=True, tag="random"):
    """See `random`."""


class Fixed(_Order, frozen=True, tag="fixed"):
    """See `fixed`."""

    @property
    def samples(self) -> bool:
        """The order of the source is no sample."""
        return False


Order: TypeAlias = Uncertainty | Committee | Diversity | DriftSlice | Outliers | Corrections | Sql | Random | Fixed


def order_from(found: Order | Mapping[str, Any] | None) -> Order | None:
    """Return the order that plain values describe.

    Raises:
        ConfigError: There is no such order, or it lacks something.
    """
    if found is None or isinstance(found, get_args(Order)):
        return found
    names = [each.__struct_config__.tag for each in get_args(Order)]
    name = found.get("order") if isinstance(found, Mapping) else found
    if name not in names:
        raise ConfigError(f"no order {name!r}{did_you_mean(str(name), names)}")
    try:
        order: Order = msgspec.convert(found, Order, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the order {name!r} cannot be read: {error}") from error
    return order


def uncertainty(ref: str, kind: Unsure | None = None, *, audit: float | None = None) -> Uncertainty:
    """Ask what a model is unsure of.

    Args:
        ref: predictions: rows with the columns that identify a task (or a column `task` of ids), and either a list
            `probabilities`, columns `p_LABEL`, or `confidence` (the probability of the answer that was given).
        kind: `entropy` of the probabilities (Shannon), `margin` between the two highest, or `least` confidence in the
            highest (see Settles 2009). None: entropy, or least where there is `confidence` alone.
        audit: the share of draws by pure chance.
    """
    return Uncertainty(ref=ref, kind=kind, audit=audit)


def committee(
    *refs: str, columns: Sequence[str] = (), kind: Dissent | None = None, audit: float | None = None
) -> Committee:
    """Ask where several models disagree.

    Args:
        *refs: predictions of one model each, as `uncertainty` takes them, or with their answer in `label`. Of one
            reference, `columns` are the models.
        columns: columns that hold the answers of models, one each.
        kind: `vote` is the entropy of the answers (Dagan and Engelson 1995), `kl` the mean divergence of each model's
            probabilities from those of all (McCallum and Nigam 1998). None: `kl` where all have probabilities.
        audit: the share of draws by pure chance.
    """
    return Committee(refs=refs, columns=tuple(columns), kind=kind, audit=audit)


def diversity(columns: Sequence[str], ref: str | None = None, *, centres: int = 1_000, seed: int = 0) -> Diversity:
    """Ask what is unlike everything asked before it: k-centre, greedily (Gonzalez 1985; Sener and Savarese 2018).

    It is fixed: nothing is estimated from it.

    Args:
        columns: numbers, or lists of numbers of one length (embeddings); each is brought to unit variance.
        ref: where they are, if not in the source.
        centres: how many are chosen one by one; the rest come by their distance from these, the farthest first.
        seed: which task comes first.
    """
    return Diversity(columns=tuple(columns), ref=ref, centres=centres, seed=seed)


def drift_slice(against: str, column: str | None = None, *, audit: float | None = None) -> DriftSlice:
    """Ask about rows in the slices that have grown most since `against`, as `dataplat.validation.drift` bins them.

    Args:
        against: the reference, by which bins are fixed.
        column: of which column; None: the one that drifts most.
        audit: the share of draws by pure chance.
    """
    return DriftSlice(against=against, column=column, audit=audit)


def outliers(
    columns: Sequence[str] | None = None,
    *,
    method: str = "robust_z",
    bound: float | None = None,
    audit: float | None = None,
) -> Outliers:
    """Ask about rows that lie far from the others, as `dataplat.validation.outliers` finds them."""
    return Outliers(columns=None if columns is None else tuple(columns), method=method, bound=bound, audit=audit)


def corrections(ref: str, *, time: str | None = None, audit: float | None = None) -> Corrections:
    """Ask about what users corrected, the newest first: a correction of rank r is drawn at 1 / r of the newest's rate.

    Args:
        ref: the dataset in which they did.
        time: its column that says when; None: what its versions changed, or else its last rows are the newest.
        audit: the share of draws by pure chance.
    """
    return Corrections(ref=ref, time=time, audit=audit)


def sql(text: str, *, audit: float | None = None) -> Sql:
    """Ask by any expression over the source's columns.

    Args:
        text: SQL (the dialect of Polars) that gives a score, 0 or more: `"abs(dep_delay)"`; or, to fix the order,
            `"order by dep_delay desc"`.
        audit: the share of draws by pure chance.
    """
    return Sql(text=text, audit=audit)


def random() -> Random:
    """Ask in a random order, each task with the same chance."""
    return Random(audit=1.0)


def fixed() -> Fixed:
    """Ask in the order of the source; nothing is estimated from it."""
    return Fixed()
