"""Training and serving agree on drawn worlds, by every route; and what does not agree is found, with its cause."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from math import nextafter
from pathlib import Path
from typing import Any

import pytest

from dataplat.feature_store.online.store import Reading
from dataplat.testing import features_agreement
from dataplat.testing._agreement_cases import Batch, Cases, Stage
from dataplat.testing._agreement_routes import Cells, InProcess, Kernel
from dataplat.testing._agreement_servers import redis_server
from dataplat.testing.features_agreement import agree, main, routes_over
from servers import RedisServer
from servers.installed import needs

WORLDS = int(os.environ.get("DATAPLAT_AGREEMENT_WORLDS", "8"))  # a million cases: make proofs


def test_all_routes_agree(shared_redis: RedisServer, tmp_path: Path) -> None:
    """Kernel, in process, LMDB, Redis and HTTP: every value, status and age, whatever landed when, alone and in batches."""
    with routes_over(("lmdb", "redis", "http"), tmp_path, redis=shared_redis.url) as routes:
        found = agree(range(1044, 1044 + WORLDS), routes, events=150, rows=60)
        many = agree([29, 35], routes, events=40, rows=500)
    assert [str(difference) for difference in (*found.differences, *many.differences)] == []
    assert set(found.cells) == {"kernel", "in process", "lmdb", "redis", "http"}
    assert len(set(found.cells.values())) == 1
    assert found.cases > 30 * WORLDS
    assert found.snapshots > found.worlds
    assert found.changed
    assert found.removed
    assert found.pushed
    assert many.largest > 200  # by HTTP as Arrow, and beside the loop


# ------------------------------------------------------------------------------------------------------ planted errors


class Late(InProcess):
    """Asks a microsecond later than it should."""

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        return super().ask(cases, replace(batch, t=batch.t + 1))


class Forgetful(InProcess):
    """Does not see what is pushed."""

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Take the records."""
        super().begin(cases, replace(stage, pushed=()))


class Stale(InProcess):
    """Goes on with the records of the first snapshot where others are made of them."""

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Take the records."""
        self.first = stage.records if stage.changes is None else self.first
        super().begin(cases, replace(stage, records=self.first))


class Undead(InProcess):
    """Takes no record away."""

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Take the records."""
        self.all = dict(stage.records) if stage.changes is None else {**self.all, **stage.records}
        super().begin(cases, replace(stage, records=self.all))


class Doubled(InProcess):
    """Sees what is pushed twice, as where a retry counts anew."""

    def _read(self, keys: Sequence[bytes]) -> Reading:
        found = super()._read(keys)
        return found._replace(pushed=[rows + rows for rows in found.pushed])


class Inexact(InProcess):
    """Is off by a bit."""

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        return self.off(super().ask(cases, batch))

    def off(self, cells: Cells) -> Cells:
        """Return cells whose floats are off."""
        return cells._replace(values={name: [_off(value) for value in column] for name, column in cells.values.items()})


def _off(value: Any) -> Any:
    return nextafter(value, 1e300) if isinstance(value, float) else value


class Blind(InProcess):
    """Calls nothing null."""

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        found = super().ask(cases, batch)
        return found._replace(
            statuses={name: [0 if code == 1 else code for code in codes] for name, codes in found.statuses.items()}
        )


class Ageless(InProcess):
    """Knows no ages."""

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        found = super().ask(cases, batch)
        return found._replace(ages={name: [None] * len(ages) for name, ages in found.ages.items()})


class Short(InProcess):
    """Leaves a row out."""

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        return super().ask(cases, batch).mapped(lambda column: column[:-1])


PLANTED = {
    Late: "age",
    Forgetful: "value",
    Stale: "value",
    Undead: "status",
    Doubled: "value",
    Inexact: "value",
    Blind: "status",
    Ageless: "age",
    Short: "count",
}


@pytest.fixture(scope="module")
def planted() -> dict[str, set[str]]:
    """Return what differs in which route, of routes with an error each, beside the kernel and serving as it is."""
    routes = [Kernel(), InProcess(), *(route() for route in PLANTED)]
    for route in routes[2:]:
        route.name = type(route).__name__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features_agreement, "TOLD", 10**9)
        found = agree([1005, 1006, 1050], routes, events=150, rows=60)
    told: dict[str, set[str]] = {}
    for difference in found.differences:
        told.setdefault(difference.route, set()).add(difference.what)
    return told


@pytest.mark.parametrize(("route", "what"), PLANTED.items())
def test_what_does_not_agree_is_found(planted: dict[str, set[str]], route: type[InProcess], what: str) -> None:
    """An error that is planted in a route is told of, as what it is, and nothing is told of the others."""
    assert what in planted[route.__name__]
    assert not {"kernel", "in process"} & set(planted)


def test_a_difference_begins_with_the_first_route_that_has_it() -> None:
    """What two routes have in common is the first one's; the second is the cause only of what it adds."""
    first, second = Ageless(), Inexact()
    first.name, second.name = "first", "second"
    found = agree(range(3), [Kernel(), first, second], events=60, rows=20)
    causes = {difference.what: difference.cause for difference in found.differences}
    assert causes == {"age": "first", "value": "second"}


class Broken(InProcess):
    """Raises."""

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Raise."""
        raise ZeroDivisionError(f"of {cases.seed}")


def test_a_route_that_raises_is_a_finding_and_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is told with its trace, once for a world, and the other routes answer everything."""
    monkeypatch.setattr(features_agreement, "TOLD", 10**9)
    found = agree(range(3), [Kernel(), Broken(), Late()], events=60, rows=20)
    errors = [difference for difference in found.differences if difference.what == "error"]
    assert [difference.seed for difference in errors] == [0, 1, 2]
    assert found.causes["in process"] > len(errors)
    assert all(f"ZeroDivisionError: of {difference.seed}" in difference.found for difference in errors)
    assert found.cells["kernel"]


def test_a_kernel_that_errs_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is held against the rules, not against serving."""
    monkeypatch.setattr(
        Kernel,
        "ask",
        lambda self, cases, batch: Inexact().off(self._told.mapped(lambda column: column[batch.first : batch.stop])),
    )
    found = agree(range(3), [Kernel(), InProcess()], events=60, rows=20)
    assert set(found.causes) == {"kernel"}


# ------------------------------------------------------------------------------------------------------------- worlds


def fingerprint(seed: int) -> str:
    """Return a checksum of all that is asked and stored in a world."""
    cases = Cases.drawn(seed, events=100, rows=60)
    told = [cases.world.spine, [(sorted(stage.records.items()), stage.changes, stage.pushed) for stage in cases.stages]]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def test_a_seed_is_the_same_world_in_another_process() -> None:
    """However strings hash there: a difference that a long run finds can be asked about again."""
    program = "\n".join(
        [
            "import hashlib",
            "from dataplat.testing._agreement_cases import Cases",
            Path(__file__)
            .read_text("utf-8")
            .partition("def fingerprint")[2]
            .partition("\n\n\n")[0]
            .join(["def fingerprint", "\nfor seed in range(5): print(fingerprint(seed))"]),
        ]
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [fingerprint(seed) for seed in range(5)]


@pytest.fixture(scope="module")
def drawn() -> list[Cases]:
    """Return some worlds."""
    return [Cases.drawn(seed, events=120, rows=60) for seed in range(40)]


def test_worlds_have_all_that_may_be_in_play(drawn: list[Cases]) -> None:
    """Late rows, deletes, pushes that land in records afterwards, changes, snapshots older than what is asked."""
    stages = [stage for cases in drawn for stage in cases.stages]
    assert all(stage.snapshot.at <= batch.t for stage in stages for batch in stage.batches)
    assert any(stage.snapshot.at < stage.batches[0].t for stage in stages)
    assert any(stage.changes is not None for stage in stages)
    assert any(stage.changes is None and stage.snapshot.parent for stage in stages)
    assert any(stage.pushed and stage is not cases.stages[-1] for cases in drawn for stage in cases.stages)
    assert any(
        facts.gone is not None and len(facts)
        for cases in drawn
        for past in cases.pasts
        for facts in past.facts.values()
    )
    assert any((facts.k > facts.e).any() for cases in drawn for past in cases.pasts for facts in past.facts.values())


def test_sources_are_rolled_back_and_views_of_commits_pushed_to(drawn: list[Cases]) -> None:
    """Between two answers rows are there no more; rows that are known by their commit are pushed; both are in many worlds."""
    back = [cases for cases in drawn if len(cases.pasts) > 1]
    assert len(back) > 3
    for cases in back:
        first, then = cases.pasts
        assert (first.first, first.stop, then.stop) == (0, then.first, len(cases.world.spine))
        assert sum(map(len, then.facts.values())) <= sum(map(len, first.facts.values()))
    assert any(
        len(then.facts[name]) < len(rows)
        for first, then in (each.pasts for each in back)
        for name, rows in first.facts.items()
    )
    commits = [
        cases
        for cases in drawn
        if all(view.view.history == "commits" for view in cases.service.views)
        and any(stage.pushed for stage in cases.stages)
    ]
    assert commits


def test_every_row_of_the_spine_is_asked_about_once(drawn: list[Cases]) -> None:
    """Batches follow on each other, and each is of one time."""
    for cases in drawn:
        batches = [batch for stage in cases.stages for batch in stage.batches]
        assert [batch.first for batch in batches] == [0, *(batch.stop for batch in batches[:-1])]
        assert batches[-1].stop == len(cases.world.spine)
        assert [batch.t for batch in batches] == sorted({batch.t for batch in batches})


def test_changes_make_the_records_of_the_stage_before_these(drawn: list[Cases]) -> None:
    """What stores are told by difference is what serving in process reads."""
    for cases in drawn:
        records: dict[bytes, bytes] = {}
        for stage in cases.stages:
            changes = stage.records if stage.changes is None else stage.changes
            records = {} if stage.changes is None else records
            records = {key: record for key, record in (records | dict(changes)).items() if record is not None}
            assert records == stage.records


# ------------------------------------------------------------------------------------------------------- the command


def test_a_world_is_asked_about_again(capsys: pytest.CaptureFixture[str]) -> None:
    """`--seed 17 --cases 1` is world 17 alone."""
    assert main(["--seed", "17", "--cases", "1", "--events", "60", "--rows", "20", "--over", "lmdb"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("worlds 17 to 17: ")
    assert "differences: 0" in told


def test_differences_are_said_and_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each cell, and the exit code 1; how far it is, is said meanwhile."""
    monkeypatch.setattr(features_agreement, "InProcess", Ageless)
    monkeypatch.setattr(features_agreement, "EVERY", 0.0)
    assert main(["--seed", "1", "--cases", "1", "--events", "60", "--rows", "20", "--over", ""]) == 1
    told = capsys.readouterr().out
    assert "the age is None by in process, and " in told
    assert "the next is 2; " in told


def test_unknown_routes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """And those that are known are named."""
    with pytest.raises(SystemExit):
        main(["--over", "lmdb,memcached"])
    assert "--over knows lmdb, redis, http, and not memcached" in capsys.readouterr().err


@pytest.fixture
def own_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the Redis of the tests on the path."""
    monkeypatch.setenv("PATH", f"{needs('redis')}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("own_program")
def test_a_redis_is_started_and_ended(tmp_path: Path) -> None:
    """Where none is named: it answers inside of the block, and is gone behind it."""
    import redis

    with redis_server(tmp_path) as url, redis.Redis.from_url(url) as client:
        assert client.ping()
    with redis.Redis.from_url(url, retry=None) as client, pytest.raises(redis.ConnectionError):
        client.ping()
