"""One grammar names versions and commits, and says what is wrong where it does not."""

from __future__ import annotations

import pytest

from dataplat.errors import BadReference, BranchNotFound, DatasetNotFound, VersionNotFound
from dataplat.versioning.references import Reference, parse_reference, resolve, resolve_commit

DAY = 86_400_000_000
NOVEMBER = 20_758 * DAY  # 2026-11-01


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("orders", {"dataset": "orders"}),
        ("events.rejects", {"dataset": "events.rejects"}),
        ("orders~2", {"dataset": "orders", "back": 2}),
        ("orders@exp", {"dataset": "orders", "name": "exp"}),
        ("@v12", {"name": "v12"}),
        ("orders@main~3", {"dataset": "orders", "name": "main", "back": 3}),
        ("orders@main~", {"dataset": "orders", "name": "main", "back": 1}),
        ("orders@quarantine/flights/ab12", {"dataset": "orders", "name": "quarantine/flights/ab12"}),
        ("orders@id:3F9A2C01B7DE", {"dataset": "orders", "id": "3f9a2c01b7de"}),
        ("orders@2026-11-01", {"dataset": "orders", "time": NOVEMBER}),
        ("orders@2026-11-01T00:00Z", {"dataset": "orders", "time": NOVEMBER}),
        ("orders@2026-11-01T01:00+01:00~1", {"dataset": "orders", "time": NOVEMBER, "back": 1}),
        ("orders@2026-11-01T00:00:00.000001", {"dataset": "orders", "time": NOVEMBER + 1}),
    ],
)
def test_grammar(text, parts):
    """Each form is taken apart as documented."""
    assert parse_reference(text) == Reference(text, **parts)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names nothing"),
        ("@", "names nothing|ends after"),
        ("orders@", "ends after '@'"),
        ("orders@main~x", "followed by a number"),
        ("orders~1@main", "followed by a number"),
        ("orders@a@b", "'@'"),
        ("orders@id:3f9a", "12 to 64 hex digits"),
        ("orders@id:xyz123456789", "12 to 64 hex digits"),
        ("orders@3f9a2c01b7de", "written as id:3f9a2c01b7de"),
        ("orders@2026-13-01", "is no date"),
        ("orders@a:b", "':'"),
        ("-x@main", "flag"),
        ("orders@../x", "'..'"),
    ],
)
def test_bad_grammar(text, why):
    """What is wrong is said with what was meant."""
    with pytest.raises(BadReference, match=why):
        parse_reference(text)


@pytest.fixture
def made(lake):
    """Return four commits of `orders` on main, the second tagged v1, and a branch `exp` with one more."""
    commits = [lake.append(i) for i in range(4)]
    lake.refs.create_tag("v1", commits[1].id)
    lake.refs.create_branch("exp", commits[3])
    commits.append(lake.append(9, branch="exp"))
    return commits


def rows(lake, reference, **options):
    """Return how many rows the version has that a reference names."""
    return resolve(lake.refs, lake.objects, reference, **options)[1].rows


def test_resolves_branches_tags_and_versions_back(lake, made):
    """Main by default; branches, tags, and versions back from either."""
    assert [rows(lake, text) for text in ("orders", "orders@exp", "orders@v1", "orders@main~2", "orders@v1~1", "orders~")] == [
        40, 50, 20, 20, 10, 30,
    ]  # fmt: skip
    assert rows(lake, "@v1", dataset="orders") == 20
    assert rows(lake, "orders@V1") == 20


def test_resolves_times(lake, made):
    """Where main stood at a moment."""
    from dataplat.versioning.history import show_time

    assert rows(lake, f"orders@{show_time(made[2].time)}") == 30
    with pytest.raises(VersionNotFound, match="did not exist"):
        rows(lake, "orders@1969-01-01")


def test_resolves_ids(lake, made):
    """A version id or a commit id, by its first twelve digits; also of a version on another branch."""
    version = made[1].changes["orders"].version
    name, manifest, commit = resolve(lake.refs, lake.objects, f"orders@id:{version[:12]}")
    assert (name, manifest.id, commit) == ("orders", version, made[1])
    assert rows(lake, f"orders@id:{version}~1") == 10
    assert rows(lake, f"orders@id:{made[2].id}") == 30
    assert rows(lake, f"orders@id:{made[4].changes['orders'].version[:20]}") == 50
    with pytest.raises(VersionNotFound, match="no version or commit has such an id"):
        rows(lake, "orders@id:000000000000")
    with pytest.raises(VersionNotFound, match="has no version"):
        rows(lake, f"other@id:{version}")


def test_commit_is_where_the_version_was_found(lake, made):
    """Of a branch or tag the commit that it names, of a version back the one that made it."""
    assert resolve(lake.refs, lake.objects, "orders")[2] == made[3]
    assert resolve(lake.refs, lake.objects, "orders@main~2")[2] == made[1]


def test_messages_suggest(lake, made):
    """Near misses are suggested, for datasets, branches and tags."""
    with pytest.raises(DatasetNotFound, match="did you mean 'orders'"):
        rows(lake, "order")
    with pytest.raises(VersionNotFound, match="no branch or tag 'mian'; did you mean 'main'"):
        rows(lake, "orders@mian")
    with pytest.raises(VersionNotFound, match="~9 was asked for"):
        rows(lake, "orders~9")
    with pytest.raises(BadReference, match="write DATASET@v1"):
        rows(lake, "@v1")


def test_dropped_and_renamed_datasets_say_so(lake, made):
    """A dropped dataset says when, and its last version is one back; a renamed one says its new name."""
    lake.publish(lake.change(mode="drop"))
    with pytest.raises(DatasetNotFound, match="was dropped; orders~1 is what it was before"):
        rows(lake, "orders")
    assert [rows(lake, f"orders~{back}") for back in (1, 2)] == [40, 30]
    lake.append(1, dataset="a")
    lake.publish(lake.change(dataset="a", mode="rename", rename_to="b"))
    with pytest.raises(DatasetNotFound, match="renamed to 'b'"):
        rows(lake, "a")
    assert (rows(lake, "b"), rows(lake, "a~1")) == (10, 10)


def test_deleted_branch_is_no_reference(lake, made):
    """A branch that was deleted resolves to nothing."""
    lake.refs.delete_branch("exp")
    with pytest.raises(VersionNotFound, match="'exp'"):
        rows(lake, "orders@exp")


def test_resolve_commit(lake, made):
    """Commits by branch, tag, steps back, id, time, and through a dataset's version."""
    found = {
        text: resolve_commit(lake.refs, lake.objects, text)
        for text in (
            "main",
            "@main",
            "v1",
            "main~2",
            "exp~1",
            f"id:{made[2].id[:12]}",
            f"id:{made[2].id}~1",
            "orders@v1~1",
        )
    }
    assert [commit.id for commit in found.values()] == [made[i].id for i in (3, 3, 1, 1, 3, 2, 1, 0)]
    assert resolve_commit(lake.refs, lake.objects, "2026-11-01") == made[3]
    with pytest.raises(VersionNotFound, match="no commit has an id"):
        resolve_commit(lake.refs, lake.objects, "id:" + made[0].changes["orders"].version)
    with pytest.raises(VersionNotFound):
        resolve_commit(lake.refs, lake.objects, "nothing")
    with pytest.raises((BranchNotFound, VersionNotFound)):
        resolve_commit(lake.refs, lake.objects, "main~99")
