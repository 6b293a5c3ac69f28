"""Is a lake's store fit, reachable, fast enough, and reached safely? What `dataplat doctor` finds out."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dataplat.errors import DataplatError

if TYPE_CHECKING:
    from pathlib import Path

    from dataplat.lake.stores import Measures, ProbeReport, Store

SKEW = 300.0
"""Seconds between this machine's clock and the store's above which servers refuse signatures, and leases may mislead."""
ROOM = 10**9
"""Bytes that should be free on the disk of a lake."""

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: its name, whether it is as it should be, and what was found."""

    name: str
    state: State
    found: str


@dataclass(slots=True)
class DoctorReport:
    """What was found of the lake at `url`; `ok` says that nothing failed."""

    url: str
    findings: list[Finding] = field(default_factory=list)
    probe: ProbeReport | None = None
    measures: Measures | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing failed; warnings are no failures."""
        return all(finding.state != "failed" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values: seconds, bytes and bytes per second."""
        return {
            "url": self.url,
            "ok": self.ok,
            "findings": [asdict(finding) for finding in self.findings],
            "probe": None if self.probe is None else asdict(self.probe),
            "measures": None if self.measures is None else asdict(self.measures),
        }

    def add(self, name: str, found: str, state: State = "ok") -> None:
        """Note a finding."""
        self.findings.append(Finding(name, state, found))


def doctor(url: str | Path) -> DoctorReport:
    """Examine the lake at `url`; what keeps it from being opened is a finding, too."""
    import dataplat
    from dataplat.lake.stores import open_store

    report = DoctorReport(str(url))
    try:
        lake = dataplat.open(url, create=False)
    except DataplatError as error:
        report.add("lake", str(error), "failed")
        if "://" in str(url):
            try:
                _surroundings(report, open_store(url))
            except DataplatError:  # a URL or a setting that is wrong: that is what the lake's finding says
                report.url = ""
        return report
    return examined(lake.store, str(url), lake.id)


def examined(store: Store, url: str, lake_id: str) -> DoctorReport:
    """Try, measure and look around; leave no object behind."""
    report = DoctorReport(url)
    report.add("lake", lake_id[:12])
    _surroundings(report, store)
    try:
        _tried(report, store)
    except DataplatError as error:
        report.add("store", str(error), "failed")
    return report


def _tried(report: DoctorReport, store: Store) -> None:
    from dataplat.lake.stores import measure, probe

    report.probe = probe(store)
    for check in report.probe.checks:
        report.add(check.name, check.found)
    report.measures = measure(store)
    off = report.measures.clock
    words = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} this machine" if abs(off) >= 2 else "as here"
    report.add("store's clock", words, "warning" if abs(off) > SKEW else "ok")


def _surroundings(report: DoctorReport, store: Store) -> None:
    """Say what the store is reached with, and where copies of it lie."""
    from dataplat.lake._object_keys import FOLDER
    from dataplat.lake.stores import FileStore
    from dataplat.lake.stores._caching import cache_of
    from dataplat.lake.stores._surroundings import clients, credentials, endpoint, network_of, tls

    if isinstance(store, FileStore):
        free = shutil.disk_usage(store.root).free
        report.add("free on disk", f"{free / 1e9:.1f} GB", "warning" if free < ROOM else "ok")
    network = network_of(store)
    if network is None:
        return
    scheme, url, settings = network
    report.add("clients", ", ".join(f"{name} {version}" for name, version in clients(scheme).items()))
    report.add("endpoint", endpoint(url, settings) or "the cloud's own")
    report.add("credentials", credentials(scheme, settings))
    safe, words = tls(scheme, settings)
    report.add("TLS", words, "ok" if safe else "warning")
    cache = cache_of(store)
    if cache is None:
        report.add("cache", "off (cache_size = 0)")
        return
    used = sum(copy.stat().st_size for copy in (cache.folder / FOLDER).rglob("*") if copy.is_file())
    if (problem := cache.problem()) is not None:
        report.add("cache", f"nothing can be kept in {cache.folder / FOLDER}: {problem}", "warning")
        return
    report.add("cache", f"{used / 1e9:.2f} of {cache.size / 1e9:.0f} GB in {cache.folder / FOLDER}")


__all__ = ["DoctorReport", "Finding", "doctor", "examined"]
