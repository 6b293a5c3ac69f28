"""Counts that workers share, the metrics made of them, and the access log."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import ConfigError
from dataplat.server._access import MOST, AccessLog, Line
from dataplat.server._counts import BEAT, BUCKETS, READY, RESTARTS, SERVICES, STATUSES, Counts, make
from dataplat.server._metrics import exposition

ANSWERED = st.tuples(
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from([*STATUSES, 299, 599]),
    st.floats(0, 20, allow_subnormal=False),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(ANSWERED, max_size=60))
def test_sums_are_over_all_workers(answered):
    """Whoever counted what, the sums are of all, and every request is in one bucket."""
    with make(3) as file:
        workers = [Counts(file.fileno(), own) for own in range(3)]
        for worker, route, status, seconds in answered:
            workers[worker].answered(route, status, seconds)
        found = workers[0]
        assert sum(count for _, _, count in found.requests()) == len(answered)
        for route, (_, buckets, seconds) in enumerate(found.seconds()):
            own = [each[3] for each in answered if each[1] == route]
            assert sum(buckets) == len(own)
            assert seconds == pytest.approx(sum(own))
            below = 0
            for bound, count in zip((*BUCKETS, float("inf")), buckets, strict=True):
                below += count
                assert below == sum(each <= bound for each in own)


def test_a_worker_in_the_place_of_another_goes_on():
    """One that is started for a row goes on with what was counted there, services too."""
    with make(2) as file:
        first = Counts(file.fileno(), 1)
        first.served(first.place_of("m@1"), 3, stale=False)
        again = Counts(file.fileno(), 1)
        again.served(again.place_of("n@1"), 5, stale=True)
        again.served(again.place_of("m@1"), 4, stale=False)
        assert Counts(file.fileno(), 0).services() == {"m@1": [2, 7, 0], "n@1": [1, 5, 1]}


def test_more_services_than_there_is_room_for():
    """Those beyond are counted together, and none is lost."""
    counts = Counts()
    for number in range(SERVICES + 10):
        counts.served(counts.place_of(f"m@{number}"), 1, stale=False)
    found = counts.services()
    assert len(found) == SERVICES
    assert sum(lookups for lookups, _, _ in found.values()) == SERVICES + 10
    assert found["others"][0] == 11


def test_the_state_of_workers():
    """What the supervisor sets of a worker, and the worker of itself."""
    with make(2) as file:
        supervisor, worker = Counts(file.fileno()), Counts(file.fileno(), 1)
        worker.set(READY, 1)
        worker.beat()
        supervisor.add(RESTARTS, 1, 1)
        assert (supervisor.of(READY, 1), supervisor.of(READY, 0), worker.of(RESTARTS, 1)) == (1, 0, 1)
        assert supervisor.of(BEAT, 1) > 0


def test_metrics_are_what_prometheus_reads():
    """The text is what Prometheus's own parser reads, names that need quoting included."""
    from prometheus_client.parser import text_string_to_metric_families

    counts = Counts()
    counts.answered(0, 200, 0.002)
    counts.served(counts.place_of('odd"\\name@1'), 2, stale=True)
    families = {each.name: each for each in text_string_to_metric_families(exposition(counts, {"m@1": None}))}
    assert families["dataplat_requests"].samples[0].value == 1
    assert families["dataplat_entities"].samples[0].labels == {"service": 'odd"\\name@1'}
    assert families["dataplat_service_ready"].samples[0].value == 0
    assert families["dataplat_request_duration_seconds"].type == "histogram"


def line(**changed):
    """Return a line of the log."""
    usual = {"at": 1.5, "method": "POST", "path": "/x", "status": 200, "ms": 12.3, "request_id": "r", "service": "m@1", "entities": 2, "key": "k"}  # fmt: skip
    return Line(**{**usual, **changed})


def test_lines_are_json(tmp_path):
    """A line tells who asked what and how it ended; they are written together, and added to what is there."""
    for _ in range(2):
        log = AccessLog(str(tmp_path / "access.log"))
        log.note(line())
        log.note(line(service="", entities=None, key=""))
        log.flush()
    lines = [json.loads(each) for each in (tmp_path / "access.log").read_text().splitlines()]
    assert len(lines) == 4
    assert lines[0] == {"at": "1970-01-01T00:00:01.500Z", "method": "POST", "path": "/x", "status": 200, "ms": 12.3, "service": "m@1", "entities": 2, "key": "k", "request_id": "r"}  # fmt: skip
    assert "service" not in lines[1]


def test_lines_beyond_what_may_wait_are_counted(tmp_path):
    """Where lines come faster than they are written some are left out, and how many is said."""
    log = AccessLog(str(tmp_path / "access.log"))
    for _ in range(MOST + 904):
        log.note(line())
    log.flush()
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert json.loads(lines[-1]) == {"left_out": 904}
    assert len(lines) == MOST + 1


def test_a_log_that_cannot_be_written(tmp_path):
    """A log that cannot be opened is refused; one that cannot be written stops nobody; none is none."""
    with pytest.raises(ConfigError, match="access_log"):
        AccessLog(str(tmp_path / "no" / "folder"))
    full = AccessLog("/dev/full")
    full.note(line())
    full.flush()
    assert not AccessLog("").on
