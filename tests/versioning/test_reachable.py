"""What a branch or a tag reaches is found once, and what cannot be read is noted, not raised."""

from __future__ import annotations

from dataplat.versioning.reachable import reachable


def ids(lake, problems):
    """Return the ids of all commits reached."""
    return [commit.id for commit in reachable(lake.objects, problems)]


def test_branches_and_tags_reach(lake):
    """Commits of live branches and of tags are reached, each once; those that only a deleted branch had are not."""
    shared = lake.append(1)
    lake.refs.create_branch("exp", shared)
    tagged = lake.append(2, branch="exp")
    lake.refs.create_tag("v1", tagged.id)
    lost = lake.append(3, branch="exp")
    lake.refs.delete_branch("exp")
    problems = []
    found = ids(lake, problems)
    assert len(found) == len(set(found)) == 3
    assert {shared.id, tagged.id} < set(found)
    assert lost.id not in found
    assert problems == []


def test_what_cannot_be_read_is_noted(lake):
    """A missing commit and a damaged tag are named, and the rest is still reached."""
    first, last = lake.append(1), lake.append(2)
    tag = lake.refs.create_tag("v1", first.id)
    lake.store.delete(tag.key)
    lake.store.create(tag.key, b"{")
    lake.store.delete(f"objects/{first.id[:2]}/{first.id[2:]}.json")
    problems = []
    assert ids(lake, problems) == [last.id]
    assert [problem.partition(": ")[0] for problem in sorted(problems)] == [f"commit {first.id[:12]}", tag.key]
