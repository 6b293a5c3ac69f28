"""Contracts for datasets of a lake: inferred from their versions, and tried on them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataplat._version import Version
    from dataplat.validation import Report
    from dataplat.validation.suggest import Suggestion

VERSIONS: Final = 50
"""Versions of a history that are looked at."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a contract says of one version of a history."""

    version: str
    time: int
    message: str
    report: Report

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        failed = [check.title for check in self.report.failed]
        return {"version": self.version, "time": self.time, "ok": self.report.ok, "failed": failed}


def suggest_contract(version: Version, *, history: bool, versions: int = VERSIONS) -> Suggestion:
    """Infer a contract from a version, or from the versions before it too, on which each rule is then tried."""
    from dataplat._validate import version_subject
    from dataplat.validation._memory import Memory
    from dataplat.validation._unique import find_repeats
    from dataplat.validation.suggest import suggest

    past = [each for each, _, _ in _past(version, versions)] if history else [version]
    subject = version_subject(version)

    def unique(column: str) -> bool:
        return not find_repeats(subject, [column], Memory(subject.memos)).failing

    name = "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", version.dataset)) or "Data"
    return suggest(
        [each.profile() for each in reversed(past)],
        version.schema,
        title=version.dataset,
        name=f"Of{name}" if name[0].isdigit() else name,
        unique=unique,
    )


def try_contract(version: Version, contract: Any, *, versions: int = VERSIONS) -> list[Tried]:
    """Hold a version and those before it to a contract, the newest first; parts that they share are looked at once."""
    return [Tried(each.id, time, message, each.validate(contract)) for each, time, message in _past(version, versions)]


def _past(version: Version, limit: int) -> Iterator[tuple[Version, int, str]]:
    """Yield a version and those before it, each with time and message of its commit; collected ones are left out."""
    from dataplat._version import Version as Found
    from dataplat.errors import ObjectNotFound, VersionNotFound
    from dataplat.versioning.history import versions
    from dataplat.versioning.manifest import load_manifest

    for entry in islice(versions(version.objects, version.commit, version.dataset), limit):
        try:
            manifest = load_manifest(version.objects, str(entry.change.version))
            manifest.parts()
        except (ObjectNotFound, VersionNotFound):
            continue
        yield Found(version.objects, entry.dataset, manifest, entry.commit), entry.commit.time, entry.commit.message
