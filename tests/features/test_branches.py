"""A service on two branches is two: neither serves, lands or takes away what is the other's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dataplat._features import FeatureStore
from dataplat.errors import NotMaterialized


def row(temp):
    """Return a row of just now."""
    return {"origin": ["JFK"], "at": [datetime.now(UTC) - timedelta(seconds=1)], "temp": [temp]}


@pytest.fixture(params=["lmdb", "redis"])
def branches(request, desk, tmp_path, monkeypatch):
    """Return feature stores of two branches, as anybody opens them: in one folder, and in one Redis."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    if request.param == "redis":
        redis = request.getfixturevalue("shared_redis")
        monkeypatch.setattr(desk.lake, "id", f"branches-{tmp_path.name}")
        (tmp_path / "dataplat.toml").write_text(f'[features]\nonline = "{redis.url}"\n')
    desk.store.online.close()
    desk.lake.branch("team/exp")
    found = [FeatureStore(desk.lake), FeatureStore(desk.lake, "team/exp")]
    yield found
    for store in found:
        for space in store.online.spaces():
            store.online.drop(space)
        store.online.close()


def said(store):
    """Return the temperature that is served, and how many rows of it count."""
    found = store.lookup("delays", {"airport": ["JFK"]}).to_dict()
    return found["airport_weather__temp"][0], found["airport_weather__count_3h"][0]


def test_two_branches_of_one_service_do_not_meet(desk, branches):
    """Snapshots, pushed rows, their landing, a step back and a retirement are those of one branch."""
    main, exp = branches
    for store in branches:
        store.apply(desk.service)
    main.materialize("delays")
    with pytest.raises(NotMaterialized):
        said(exp)
    desk.lake.ingest(desk.weather([7]), into="weather", branch="team/exp")
    exp.materialize("delays")
    assert (said(main)[0], said(exp)[0]) == (5.0, 7.0)
    main.push("airport_weather", row(50.0), idempotency="one")
    exp.push("airport_weather", row(60.0), idempotency="one")
    assert (said(main), said(exp)) == ((50.0, 1), (60.0, 1))
    assert exp.flush("weather") == 1
    exp.materialize("delays")
    assert (said(main), said(exp)) == ((50.0, 1), (60.0, 1))
    assert main.flush("weather") == 1
    assert desk.lake["weather@main"].rows == 13
    assert desk.lake["weather@team/exp"].rows == 15
    exp.retire("delays@1")
    assert said(main) == (50.0, 1)
    with pytest.raises(NotMaterialized):
        main.rollback("delays")
