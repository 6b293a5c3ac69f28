"""Columns that are distributed as they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from dataplat.errors import ConfigError, ContractError
from dataplat.validation._identity import check_id
from dataplat.validation.report import CheckOutcome, Example, Severity
from dataplat.validation.rules._asked import Asked, Settled, require, some

if TYPE_CHECKING:
    from dataplat.lake.engine import Engine
    from dataplat.validation.drift import DriftReport, Question
    from dataplat.validation.profile import Profile
    from dataplat.validation.rules._rule import Context
    from dataplat.validation.subject import Subject

_CODE: Final = 1


@dataclass(frozen=True)
class NoDrift(Asked):
    """No column is distributed otherwise than in a reference."""

    word: ClassVar[str] = "no_drift"

    vs: str
    columns: tuple[str, ...] | None
    method: str | tuple[tuple[str, str], ...] | None
    min_effect: float | None
    alpha: float

    def __post_init__(self) -> None:
        super().__post_init__()
        given: Any = self.vs
        if not isinstance(given, str) or not given:
            raise ContractError("no_drift: vs= is a reference to what is compared with, such as @production")
        try:
            self._question()
        except ConfigError as error:
            raise ContractError(f"no_drift: {error}") from error

    @property
    def name(self) -> str:
        """The rule as it was written."""
        return f"{self.word}({self.vs}{': ' + ', '.join(self.columns) if self.columns else ''})"

    @property
    def column(self) -> str | None:
        """The column, if it is one."""
        return self.columns[0] if self.columns and len(self.columns) == 1 else None

    def remembers(self) -> bool:
        """The reference moves."""
        return False

    def check(self, subject: Subject, context: Context) -> CheckOutcome:
        """Return the outcome, from the profiles of both sides, which are remembered by part."""
        require(subject, self.columns or ())
        other = context.resolve(self.vs)
        asked = check_id([self.describe(), _CODE], other.version, list(map(str, subject.schema)))
        memory = context.memory
        known = memory.whole(subject.version, asked) if other.version is not None else None
        if known is not None:
            return known
        found, ours = self.compared(subject, other, memory.engine)
        outcome = self._judged(subject, found, ours)
        if other.version is not None:
            memory.keep_whole(subject.version, asked, outcome)
        return outcome

    def compared(self, subject: Subject, other: Subject, engine: Engine | None = None) -> tuple[DriftReport, Profile]:
        """Return the comparison, and the profile of `subject`, from what is remembered of both."""
        from dataplat.validation.drift import ProfileColumns, drift_between

        ours, theirs = (_profile(side, self.columns, engine) for side in (subject, other))
        columns = ProfileColumns(theirs.columns), ProfileColumns(ours.columns)
        return drift_between(*columns, self._question(), titles=(self.vs, subject.title)), ours

    def _judged(self, subject: Subject, found: DriftReport, ours: Profile) -> CheckOutcome:
        rows = subject.rows
        settled: Settled = (("remembered" if ours.remembered == ours.parts else "scanned", rows),)
        bad = [column for column in found.columns if column.verdict in {"drift", "not comparable"}]
        return self.outcome(
            subject,
            ok=not bad,
            detail=found.summary,
            examples=tuple(Example(None, " ".join(column.line().split())) for column in bad),
            settled=settled,
        )

    def _question(self) -> Question:
        from dataplat.validation.drift import Question

        method = dict(self.method) if isinstance(self.method, tuple) else self.method
        return Question(self.columns, method, self.min_effect, self.alpha)


def no_drift(
    vs: str,
    columns: Sequence[str] | None = None,
    *,
    method: str | Mapping[str, str] | None = None,
    min_effect: float | None = None,
    alpha: float = 0.05,
    severity: Severity | None = None,
    environment: str | None = None,
) -> NoDrift:
    """No column drifts from a reference: its interval of effects does not lie above the least effect that counts.

    Both sides are compared by their profiles, which are remembered by part: nothing is read but parts that are new. What
    profiles leave open widens the interval. A column that drifts, or that is missing or of another kind on one side, fails
    the rule; one that is undecided does not, and the report counts it. A reference that is not there cannot be
    checked, which fails: name one that exists before the contract is asked.

    Args:
        vs: a reference: `@production` is another version of the dataset at hand, `flights@v3` any.
        columns: which; None: all of the reference that are not nested.
        method: a statistic (`ks`, `chi2`, `psi`, `js`, `hellinger`, `wasserstein`), or one by column; None: `ks` for
            numbers, `chi2` for categories.
        min_effect: the least effect that counts, in the unit of the statistic; None: the one of the statistic.
        alpha: the chance of any false alarm of the rule.
        severity: `error` or `warn`; None: the contract's.
        environment: where it is asked; None: wherever the contract is.

    Raises:
        ContractError: no such method, or a number that makes no sense.
    """
    named = None if columns is None else some(columns, "no_drift")
    how: Any = tuple(sorted(method.items())) if isinstance(method, Mapping) else method
    return NoDrift(vs, named, how, min_effect, alpha, severity=severity, environment=environment)


def _profile(subject: Subject, columns: Sequence[str] | None, engine: Engine | None) -> Profile:
    from dataplat.validation.profile._run import profile_subject, profile_version
    from dataplat.validation.subject import VersionSubject

    names = None if columns is None else [name for name in columns if name in subject.schema.names]
    if isinstance(subject, VersionSubject):
        return profile_version(subject.objects, subject.manifest, subject.title, columns=names, engine=engine)
    return profile_subject(subject, columns=names)
