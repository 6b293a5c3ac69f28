"""What a report shows beside its checks: what each column holds, and drift from what the contract compares with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.validation._rows import FAULTS

if TYPE_CHECKING:
    from dataplat.validation.profile import Profile
    from dataplat.validation.rules import Context, Rule
    from dataplat.validation.subject import Subject


@dataclass(frozen=True, slots=True)
class Beside:
    """Computes the sections when a page is asked for; what cannot be (a file that is gone) is left out."""

    subject: Subject
    rules: Sequence[Rule]
    context: Context

    def __call__(self) -> list[tuple[str, str]]:
        """Return titles and HTML."""
        found: list[tuple[str, str]] = []
        for make in (self._columns, self._drift):
            try:
                found += make()
            except FAULTS:
                continue
        return found

    def _columns(self) -> list[tuple[str, str]]:
        from dataplat.validation.profile._html import columns_of

        return [("What the columns hold", columns_of(_profile(self.subject)))]

    def _drift(self) -> list[tuple[str, str]]:
        from dataplat.validation.drift._page import side_by_side
        from dataplat.validation.rules._no_drift import NoDrift

        found: list[tuple[str, str]] = []
        for rule in self.rules:
            if isinstance(rule, NoDrift):
                report, _ = rule.compared(self.subject, self.context.resolve(rule.vs))
                found.append((f"Drift from {rule.vs}", side_by_side(report)))
        return found


def _profile(subject: Subject) -> Profile:
    from dataplat.validation.profile._run import profile_subject, profile_version
    from dataplat.validation.subject import VersionSubject

    if isinstance(subject, VersionSubject):
        return profile_version(subject.objects, subject.manifest, subject.title)
    return profile_subject(subject)
