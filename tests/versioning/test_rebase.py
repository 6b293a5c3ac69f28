"""Which changes hold on a later version, and what they are there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dataplat.errors import CommitConflict, KeyConflict, PositionConflict
from dataplat.lake.digest import Digest
from dataplat.versioning._lsm import MapRef
from dataplat.versioning.commit import DatasetState
from dataplat.versioning.manifest import Manifest, ManifestEdit
from dataplat.versioning.rebase import MergedDeletes, PlannedChange, check_positions, rebase

COLUMN = {"name": "id", "type": "int64", "nullable": False}
EXTRA = {"name": "note", "type": "string", "nullable": True}


@pytest.fixture
def versions(stage, make_part):
    """Return a function: key -> (base of three parts, function that edits it further)."""

    def make(key=()):
        base = Manifest.empty([COLUMN], key).apply(
            ManifestEdit(add=[make_part(i) for i in range(3)], digest=Digest(30, 100, 200)), stage
        )
        return base, lambda **edit: base.apply(ManifestEdit(**edit), stage)

    return make


def planned(mode, base, **options):
    """Return a change that was planned on `base`."""
    return PlannedChange(dataset="orders", mode=mode, base_version=base.id, **options)


def unite(overlap):
    """Return a merge of deletes that says how many rows both deleted."""
    return lambda part, ours, theirs: MergedDeletes(f"{ours}|{theirs}", 9, overlap)


def test_appends_without_key_never_conflict(versions, make_part):
    """Two appends are both kept, and the digest is the sum of both."""
    base, edited = versions()
    head = edited(add=[make_part(7)], digest=base.digest + Digest(10, 1, 1))
    edit = rebase(
        planned("append", base, edit=ManifestEdit(add=[make_part(8)], digest=base.digest + Digest(10, 5, 5))),
        base,
        head,
    )
    assert [part.id for part in edit.add] == [make_part(8).id]
    assert edit.digest == Digest(50, 106, 206)


def test_digest_is_pending_where_one_side_is(versions, make_part):
    """An unknown digest on either side stays unknown."""
    base, edited = versions()
    change = planned("append", base, edit=ManifestEdit(add=[make_part(8)], digest=Digest(40, 1, 1)))
    assert rebase(change, base, edited(add=[make_part(7)])).digest is None


def test_keys_are_compared_with_rows_that_came(versions, make_part):
    """Disjoint keys pass; a common key is a KeyConflict that shows it; only new parts are asked about."""
    base, edited = versions(("id",))
    head = edited(add=[make_part(7)])
    asked = []

    def overlap(parts, found):
        asked.extend(part.id for part in parts)
        return found

    for mode in ("append", "upsert"):
        change = planned(
            mode, base, edit=ManifestEdit(add=[make_part(8)]), keys_overlap=lambda parts: overlap(parts, [])
        )
        assert len(rebase(change, base, head).add) == 1
    assert set(asked) == {make_part(7).id}
    change = planned("append", base, edit=ManifestEdit(add=[make_part(8)]), keys_overlap=lambda parts: [{"id": 4}])
    with pytest.raises(KeyConflict, match="'id': 4"):
        rebase(change, base, head)
    with pytest.raises(CommitConflict, match="cannot tell"):
        rebase(planned("append", base, edit=ManifestEdit(add=[make_part(8)])), base, head)


def test_keys_are_not_asked_for_where_rows_only_went(versions, make_part):
    """A delete by somebody else brings no keys."""
    base, edited = versions(("id",))
    head = edited(deletes={make_part(1).id: ("d", 2)})
    change = planned("append", base, edit=ManifestEdit(add=[make_part(8)]))
    assert len(rebase(change, base, head).add) == 1


def test_restored_rows_count_as_come(versions, make_part):
    """Where deletes may have been undone, parts with other deletes are asked about, too, and ours on them conflict."""
    base, edited = versions(("id",))
    head = edited(deletes={make_part(1).id: ("d", 2)})
    change = planned(
        "append", base, edit=ManifestEdit(add=[make_part(8)]), keys_overlap=lambda parts: [part.id for part in parts]
    )
    with pytest.raises(KeyConflict):
        rebase(change, base, head, restored=True)
    delete = planned(
        "delete", base, edit=ManifestEdit(deletes={make_part(2).id: ("e", 1)}), where="x", where_matches=lambda _: False
    )
    with pytest.raises(CommitConflict, match="undone"):
        rebase(delete, base, head, restored=True)


def test_where_is_tried_on_rows_that_came(versions, make_part):
    """A delete whose condition matches none of them holds; one that does, or cannot say, does not."""
    base, edited = versions()
    head = edited(add=[make_part(7)])
    edit = ManifestEdit(deletes={make_part(1).id: ("d", 2)})
    assert rebase(
        planned("delete", base, edit=edit, where="x > 1", where_matches=lambda parts: False), base, head
    ).deletes
    for matches in (lambda parts: True, None):
        with pytest.raises(CommitConflict, match="x > 1"):
            rebase(planned("delete", base, edit=edit, where="x > 1", where_matches=matches), base, head)


@pytest.mark.parametrize(
    ("mode", "overlap", "holds"), [("delete", 0, True), ("delete", 3, True), ("upsert", 0, True), ("upsert", 1, False)]
)
def test_deletes_of_one_part_are_united(versions, make_part, mode, overlap, holds):
    """Rows deleted by both are fine for a delete, with the digest pending; for an upsert they were changed by both."""
    base, edited = versions()
    head = edited(deletes={make_part(1).id: ("theirs", 2)}, digest=base.digest)
    edit = ManifestEdit(deletes={make_part(1).id: ("ours", 3), make_part(2).id: ("only ours", 1)}, digest=base.digest)
    change = planned(mode, base, edit=edit, merge_deletes=unite(overlap))
    if not holds:
        with pytest.raises(KeyConflict, match="changed by somebody else"):
            rebase(change, base, head)
        return
    places = {part.id: part.place for part in base.parts()}
    rebased = rebase(change, base, head)
    assert rebased.deletes == {places[make_part(1).id]: ("ours|theirs", 9), places[make_part(2).id]: ("only ours", 1)}
    assert (rebased.digest is None) == (overlap > 0)


def test_deletes_that_cannot_be_united_conflict(versions, make_part):
    """Without a way to unite them, two deletes of one part are a conflict."""
    base, edited = versions()
    head = edited(deletes={make_part(1).id: ("theirs", 2)})
    with pytest.raises(CommitConflict, match="cannot unite"):
        rebase(planned("delete", base, edit=ManifestEdit(deletes={make_part(1).id: ("ours", 3)})), base, head)


def test_deletes_of_a_part_that_is_gone(versions, make_part):
    """A delete has nothing left to do there; an upsert's rows were changed by somebody else."""
    base, edited = versions()
    head = edited(drop=[make_part(1).id])
    edit = ManifestEdit(deletes={make_part(1).id: ("ours", 3)}, digest=base.digest)
    rebased = rebase(planned("delete", base, edit=edit), base, head)
    assert (rebased.deletes, rebased.digest) == ({}, None)
    with pytest.raises(KeyConflict):
        rebase(planned("upsert", base, edit=edit), base, head)


def test_drops_of_a_part_that_changed(versions, make_part):
    """A delete that empties a part drops it still; an upsert may not; a part that is gone is not dropped again."""
    base, edited = versions()
    edit = ManifestEdit(drop=[make_part(1).id])
    for theirs, left in ((edited(deletes={make_part(1).id: ("d", 2)}), 1), (edited(drop=[make_part(1).id]), 0)):
        assert len(rebase(planned("delete", base, edit=edit), base, theirs).drop) == left
        with pytest.raises(KeyConflict):
            rebase(planned("upsert", base, edit=edit), base, theirs)


@pytest.mark.parametrize("mode", ["replace", "rollback", "drop", "merge", "create"])
def test_some_changes_never_rebase(versions, make_part, mode):
    """A replace, rollback, drop, merge or create holds on its own base only."""
    base, edited = versions()
    with pytest.raises(CommitConflict, match="holds only on the version"):
        rebase(planned(mode, base), base, edited(add=[make_part(7)]))


def test_schema_changes(versions, make_part):
    """New nullable columns are fine; other changes conflict, and so do two changes of the schema."""
    base, edited = versions()
    append = planned("append", base, edit=ManifestEdit(add=[make_part(7)]))
    assert rebase(append, base, edited(schema_json=[COLUMN, EXTRA])).add
    for schema in ([COLUMN, EXTRA | {"nullable": False}], [COLUMN | {"type": "string"}], [EXTRA]):
        with pytest.raises(CommitConflict, match="its schema changed"):
            rebase(append, base, edited(schema_json=schema))
    with pytest.raises(CommitConflict, match="its key became"):
        rebase(append, base, edited(key=("id",)))
    evolve = planned("evolve", base, edit=ManifestEdit(schema_json=[COLUMN, EXTRA]))
    assert rebase(evolve, base, edited(add=[make_part(7)])).schema_json
    with pytest.raises(CommitConflict, match="both changed"):
        rebase(evolve, base, edited(schema_json=[COLUMN, EXTRA]))


def test_columns_are_told_by_stored_names(versions, make_part, stage):
    """A rename, another order and a looser column leave an append as it is; a drop, another type and "required" do not."""
    base, _ = versions(("id",))
    base = base.apply(ManifestEdit(schema_json=[COLUMN, EXTRA], digest=base.digest), stage)
    append = planned("append", base, edit=ManifestEdit(add=[make_part(7)], digest=base.digest + Digest(10, 1, 1)))
    append = replace(append, keys_overlap=lambda _: ())
    renamed = [EXTRA | {"name": "text", "stored": "note"}, COLUMN | {"name": "key", "stored": "id"}]

    def after(schema, **edit):
        return base.apply(ManifestEdit(schema_json=schema, **edit), stage)

    edit = rebase(append, base, after(renamed, key=("key",)))
    assert (len(edit.add), edit.schema_json, edit.digest) == (1, None, None)
    assert (
        rebase(append, base, after([COLUMN | {"nullable": True}, EXTRA], digest=base.digest)).digest
        == append.edit.digest
    )
    again = EXTRA | {"stored": "note~123abc"}
    for schema in (
        [COLUMN],
        [COLUMN, again],
        [COLUMN, EXTRA | {"type": "binary"}],
        [COLUMN, EXTRA | {"nullable": False}],
    ):
        with pytest.raises(CommitConflict, match="its schema changed"):
            rebase(append, base, after(schema))
    with pytest.raises(CommitConflict, match="its key became"):
        rebase(append, base, after([COLUMN, EXTRA], key=("note",)))


def test_parts_that_came_are_shown_by_the_names_of_the_base(versions, make_part, stage):
    """Where names were swapped since, the planner's questions see the statistics of its own columns."""
    base, _ = versions(("id",))
    base = base.apply(ManifestEdit(schema_json=[COLUMN, EXTRA]), stage)
    seen = []
    append = planned(
        "append", base, edit=ManifestEdit(add=[make_part(7)]), keys_overlap=lambda came: seen.extend(came) or ()
    )
    swapped = [COLUMN | {"name": "note", "stored": "id"}, EXTRA | {"name": "id", "stored": "note"}]
    head = base.apply(ManifestEdit(schema_json=swapped, key=("note",)), stage)
    head = head.apply(ManifestEdit(add=[make_part(8)]), stage)
    rebase(append, base, head)
    assert [part.stats["id"].low for part in seen] == [80]
    assert head.parts()[-1].stats["note"].low == 80


def test_two_first_appends(versions, make_part, stage):
    """A dataset that two writers create at once with one schema is appended to by the second; not with another key."""
    head, _ = versions()
    first = PlannedChange(
        dataset="orders",
        mode="append",
        edit=ManifestEdit(add=[make_part(9)], schema_json=[COLUMN], digest=Digest(10, 1, 1)),
    )
    edit = rebase(first, Manifest.empty([COLUMN]), head)
    assert (edit.schema_json, edit.digest) == (None, head.digest + Digest(10, 1, 1))
    with pytest.raises(CommitConflict, match="its key became"):
        rebase(first, Manifest.empty([COLUMN], ("id",)), head)


# ---------------------------------------------------------------------------------------------------------- positions


def test_positions_must_hold(stage):
    """Every source has to stand where it was assumed, a new one nowhere."""
    state = DatasetState(version="v")
    held = DatasetState(version="v", positions=state.advanced({"a": 5, "b": {"p0": 7}}, stage, stage.read))
    for starts in ({}, {"a": 5}, {"b": {"p0": 7}, "c": None}):
        check_positions(PlannedChange(dataset="d", mode="append", starts=starts), held, stage.read)
    for starts in ({"a": 4}, {"a": None}, {"c": 1}, {"a": 5, "b": None}):
        with pytest.raises(PositionConflict, match="was read by somebody else"):
            check_positions(PlannedChange(dataset="d", mode="append", starts=starts), held, stage.read)
    with pytest.raises(PositionConflict):
        check_positions(PlannedChange(dataset="d", mode="append", starts={"a": 5}), None, stage.read)
    assert held.positions != MapRef()
