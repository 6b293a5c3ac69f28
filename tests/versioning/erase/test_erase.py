"""Erasing: nothing stored holds the rows, everything that had a name has it, others keep what they have."""

from __future__ import annotations

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.errors import ConfigError, PredicateError
from dataplat.lake._object_keys import parse_key
from dataplat.testing.store_faults import copied
from dataplat.versioning.erase import _run

from .world import JO, TOKEN, holds, leaks, new_store, open_on, packed_examples, picture, rows, told, without  # noqa: TID252

WHERE = f"id = {JO}"


def erase(store, dataset="folk", where=WHERE, **more):
    """Erase as a fresh process does."""
    return open_on(store).erase(dataset, where, "ticket 7", **more)


@pytest.fixture(scope="module")
def past():
    """Return a lake with a long past, and what was to be read of it."""
    store = new_store()
    told(open_on(store))
    return store, picture(store)


@pytest.fixture(scope="module")
def erased(past):
    """Return a copy of that lake after an erase."""
    there, before = past
    store = copied(there)
    return store, before, erase(store)


def test_the_look_into_the_store_finds_what_is_packed():
    """A value in a compressed column, and a text in the second of two frames, are found; another text is not."""
    assert all(holds(data, b"token-one") for data in packed_examples())
    assert not any(holds(data, b"token-two") for data in packed_examples())


def test_the_past_has_it_all_over(past):
    """Before, the token lies in parts, manifests and memos of many versions: the tests below look for something."""
    store, before = past
    assert len(leaks(store)) > 8
    assert sum(TOKEN in "".join(held) for held in before.values()) > 10


def test_nothing_stored_holds_the_rows(erased):
    """No object, memo, record or file holds the token, but those of a dataset that has a row of its own."""
    store, _, _ = erased
    copy = set(leaks(store))
    parts = {f"objects/{p.id[:2]}/{p.id[2:]}.parquet" for p in open_on(store)["copy"].parts}
    assert {key for key in copy if key.endswith(".parquet")} == parts
    mine = {id for id, _ in open_on(store)["copy"].manifest.object_ids()}
    assert {key.removeprefix("objects/").replace("/", "").partition(".")[0] for key in copy} <= mine


def test_every_name_still_leads_to_the_other_rows(erased):
    """Branches, tags, versions back and ids read as before, without the rows; nothing else changed."""
    store, before, _ = erased
    after = picture(store)
    assert {ref: after.get(ref) for ref in before} == without(before)


def test_the_lake_is_whole_and_nothing_is_left_to_collect(erased):
    """Verify finds nothing wrong and nothing unreachable; a collection afterwards frees nothing."""
    store, _, _ = erased
    report = open_on(store).verify()
    assert (report.problems, report.warnings, report.orphans) == ([], [], 0)
    done = open_on(store).gc(grace="0s").done
    assert (done.objects, done.memos) == (0, 0)


def test_the_result_says_what_went(erased):
    """Versions, bytes and names are counted; what cannot be erased from here is said."""
    _, _, result = erased
    assert result.plan.names == ("folk", "people")
    assert result.versions >= result.plan.affected > 5
    assert result.rows == result.plan.rows == 3
    assert result.finished
    assert result.nbytes > 0
    assert result.plan.digested
    assert str(JO) not in str(result.plan.to_dict() | {"where": "", "bytes": 0, "mentioned": []})


def test_a_second_time_does_nothing(erased):
    """The same erase again finds nothing to do, and writes no record."""
    store, _, _ = erased
    before = {info.key for info in store.list("")}
    again = erase(store)
    assert (again.versions, again.rows, again.objects, again.commits) == (0, 0, 0, ())
    assert {info.key for info in store.list("")} == before


def test_a_plan_touches_nothing():
    """The plan counts what would go, and writes nothing."""
    store = new_store()
    open_on(store).ingest(rows(1, JO), "people")
    before = {info.key for info in store.list("")}
    plan = open_on(store).plan_erase("people", WHERE)
    assert (plan.rows, plan.parts, plan.affected, plan.versions) == (1, 1, 1, 1)
    assert {info.key for info in store.list("")} == before


def test_a_version_says_what_was_asked_for():
    """Of an erased version `redacted_from` is the id asked for, `id` the one in its place; rollback works with it."""
    store = new_store()
    lake = open_on(store)
    old = lake.ingest(rows(1, JO), "people").version.id
    lake.ingest(rows(2), "people")
    erase(store, "people")
    found = open_on(store)[f"people@id:{old}"]
    assert found.redacted_from == old != found.id
    assert open_on(store)[f"people@id:{found.id}"].rows == 1
    assert open_on(store).rollback("people~1").rows == 1
    assert open_on(store).verify().ok


def test_a_row_that_came_again_does_not_land(tmp_path):
    """The same file again, into the dataset or into one made anew, lands all but the erased rows, and says how many."""
    store = new_store()
    path = tmp_path / "people.csv"
    path.write_text(f"id,name\n1,a\n{JO},{TOKEN}\n2,b\n")
    open_on(store).ingest(path, "people")
    erase(store, "people")
    lake = open_on(store)
    result = lake.ingest(path, "people", mode="replace")
    assert (result.rows_in, result.rows_suppressed, result.version.rows) == (3, 1, 2)
    assert result.to_dict()["rows_suppressed"] == 1
    lake.drop("people")
    again = lake.ingest(path, "people")
    assert (again.rows_suppressed, again.version.rows) == (1, 2)
    assert not leaks(store)


def test_suppression_follows_names_and_columns(tmp_path):
    """Where dataset or column are called otherwise since, and on a branch made since, the row does not come in either."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, JO), "people")
    erase(store, "people")
    lake = open_on(store)
    lake.branch("since")
    lake.rename("people", "folk")
    lake.evolve("folk", rename={"id": "number"})
    renamed = rows(JO, 2).rename_columns(["number", "name"])
    assert lake.ingest(renamed, "folk").rows_suppressed == 1
    assert lake.ingest(rows(JO, 3), "people", branch="since").rows_suppressed == 1
    assert not leaks(store)


def test_a_condition_of_any_kind_is_kept_as_text():
    """What is no matter of equal values is kept in words, and the plan says so; it holds against rows that come again."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, JO), "people")
    where = "id > 4000"
    assert not lake.plan_erase("people", where).digested
    result = lake.erase("people", where, "law")
    assert any("text of the condition" in note for note in result.notes)
    assert lake.ingest(rows(4001, 5), "people").rows_suppressed == 1
    assert lake["people"].rows == 2


def test_a_condition_that_fits_no_version_touches_nothing():
    """An unknown column, or no reason, is refused before anything is written."""
    store = new_store()
    open_on(store).ingest(rows(1, JO), "people")
    before = {info.key for info in store.list("")}
    with pytest.raises(PredicateError, match="nobody"):
        erase(store, "people", "nobody = 1")
    with pytest.raises(dp.DatasetNotFound, match="people"):
        erase(store, "peopel")
    with pytest.raises(ConfigError, match="reason"):
        open_on(store).erase("people", WHERE, " ")
    assert {info.key for info in store.list("")} == before


def test_a_dataset_of_which_all_versions_were_collected_is_none():
    """Where no version is left there is nothing to ask a condition of, and that is said (found by seed 196186)."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, 2), "others")
    lake.branch("exp")
    lake.ingest(rows(1, JO), "people", branch="exp")
    lake.delete_branch("exp")
    lake.gc("1", grace="0s")
    with pytest.raises(dp.DatasetNotFound, match="no version of 'people' is left"):
        erase(store, "people")


def test_a_column_that_is_gone_can_still_be_asked():
    """Rows are found by a column that was dropped since, whose values lie in parts all the same."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, JO), "people")
    lake.evolve("people", drop=["name"])
    lake.ingest(pa.table({"id": [2]}), "people")
    erase(store, "people", f"name = '{TOKEN} x'")
    lake = open_on(store)
    assert lake["people"].to_arrow()["id"].to_pylist() == [1, 2]
    assert not leaks(store)
    assert lake.verify().ok


def test_others_keep_an_equal_part():
    """A dataset with the very same part keeps it and is named; one with the very same version has to be named, too."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, JO), "people")
    lake.ingest(rows(9), "twin")
    lake.ingest(rows(1, JO), "twin")
    part = lake["people"].parts[0].id
    assert part in {each.id for each in lake["twin"].parts}
    result = erase(store, "people")
    (shared,) = result.plan.shared
    assert (shared.name, shared.parts, shared.fits) == ("twin", 1, True)
    assert shared.command == f"dataplat version erase twin --where '{WHERE}' --reason …"
    assert any("twin" in note for note in result.notes)
    lake = open_on(store)
    assert (lake["people"].rows, lake["twin"].rows) == (1, 3)
    assert lake.verify().ok
    lake.ingest(rows(77, JO), "one")
    lake.ingest(rows(77, JO), "two")
    with pytest.raises(ConfigError, match="--also two"):
        erase(store, "one")
    erase(store, "one", also=["two"])
    assert [open_on(store)[name].rows for name in ("one", "two")] == [1, 1]


def test_what_was_made_from_it_is_listed():
    """Datasets made from it, directly or not, are named with the command for them and whether the condition fits."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, JO), "people")
    lake.sql("select id, upper(name) as title from people").commit("ids")
    lake.sql("select count(*) as n from ids").commit("counts")
    derived = {one.name: one for one in lake.plan_erase("people", WHERE).derived}
    assert {name: (one.made_from, one.fits) for name, one in derived.items()} == {
        "ids": (("people",), True),
        "counts": (("ids",), False),
    }
    assert derived["ids"].command == f"dataplat version erase ids --where '{WHERE}' --reason …"
    lake.erase("people", WHERE, "law")
    assert lake["ids"].rows == 2


def test_a_lease_holds_old_versions_until_it_ends():
    """What a reader holds stays as it is; the erase says so, and the next one deletes it."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, JO), "people")
    version = open_on(store)["people"]
    with version.lease():
        result = erase(store, "people")
        assert not result.finished
        assert any("lease" in note for note in result.notes)
        assert version.to_arrow().num_rows == 2
        assert open_on(store)["people"].rows == 1
        assert leaks(store)
    assert erase(store, "people").finished
    assert not leaks(store)


def test_a_branch_from_an_old_commit_goes_on_from_what_an_erase_left_of_it():
    """Where a reader still holds the old version, what is added to it on a new branch comes without the erased row."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, JO), "people")
    lake.ingest(rows(2), "people")
    with open_on(store)["people~1"].lease():
        erase(store, "people")
        lake = open_on(store)
        lake.branch("late", "main~2")  # before the second ingest; an erase commits, too
        lake.ingest(rows(3), "people", branch="late")
        assert sorted(lake["people@late"].to_arrow()["id"].to_pylist()) == [1, 3]
    assert erase(store, "people").finished
    assert not leaks(store)


def test_rows_in_parts_that_others_deleted_long_ago_are_counted_once():
    """A row that a bitmap hides is physically there, and goes; versions in which it did not count stay what they say."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, JO, 2), "people")
    lake.delete("people", WHERE.replace("=", ">="))
    content = lake["people"].content_id
    result = erase(store, "people")
    assert result.rows == 1
    assert open_on(store)["people"].content_id == content
    assert open_on(store)["people"].manifest.deleted == 0
    assert not leaks(store)


def test_a_second_erase_under_another_name_lets_nothing_of_the_first_come_back():
    """A renamed dataset keeps what was erased under its old name out, also once more was erased under the new one."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, 2, JO), "people")
    erase(store, "people")
    lake.rename("people", "folk")
    erase(store, "folk", "id = 2")
    lake = open_on(store)
    assert lake.ingest(rows(2, 3, JO), "folk").rows_suppressed == 2
    assert sorted(lake["folk"].to_arrow()["id"].to_pylist()) == [1, 3]


def test_the_list_of_what_is_suppressed_is_not_collected_before_it_is_named(monkeypatch):
    """A collection without grace leaves a list alone that is written and that no erase names yet."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1, JO), "people")
    write = _run.write

    def collecting(*args):
        open_on(store).gc(grace="0s")
        return write(*args)

    monkeypatch.setattr(_run, "write", collecting)
    erase(store, "people")
    assert open_on(store).ingest(rows(3, JO), "people").rows_suppressed == 1


def test_what_an_erase_makes_again_is_stored_once():
    """What is left of a part is what an old version had, whose key a collection may yet delete: it goes to another one."""
    store = new_store()
    lake = open_on(store)
    lake.ingest(rows(1), "people", mode="replace")
    lake.ingest(rows(1, JO), "people", mode="replace")
    assert lake.gc("1", grace="0s").done.objects > 0
    open_on(store).erase("people", f"id = {JO}", "ticket 7")
    found = [info.key for info in store.list("objects/")]
    assert any("~" in key for key in found)
    assert len(found) == len({parse_key(key) for key in found})
    assert open_on(store)["people"].to_arrow()["id"].to_pylist() == [1]
    assert open_on(store).verify().ok
