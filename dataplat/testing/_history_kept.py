"""What a collection must leave, and may leave, told from refs alone and without the collector's own shortcuts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dataplat.errors import ObjectNotFound, VersionNotFound
from dataplat.lake._object_keys import check, parse_key
from dataplat.lake.objects import Objects
from dataplat.versioning import history
from dataplat.versioning._protection import contracts_of
from dataplat.versioning.commit import load_commit
from dataplat.versioning.erasures import erases
from dataplat.versioning.gc.collect import Options, collect, look
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.needs import of_commit
from dataplat.versioning.refs import Refs
from dataplat.versioning.suppression import lists_of

if TYPE_CHECKING:
    from dataplat.lake.stores import Store
    from dataplat.testing.simulator import Simulator


def kept(objects: Objects, refs: Refs, keep: str) -> set[str]:
    """Return the versions that have to be there.

    With a rule of a number only `main` is sure to have older ones: another branch may begin where they were gone.
    """
    found: set[str] = set()
    for head in refs.branches():
        found.update(str(state.version) for state in head.commit.datasets(objects.read).values())
        if keep != "all" and head.branch != "main":
            continue
        for dataset in head.commit.datasets(objects.read, dropped=True):
            for place, entry in enumerate(history.versions(objects, head.commit, dataset)):
                if keep == "all" or place < int(keep):
                    found.add(str(entry.change.version))
    for tag in refs.tags():
        commit = load_commit(objects, tag.commit_id)
        found.update(str(state.version) for state in commit.datasets(objects.read).values())
    return found


def clean_up(store: Store, keep: str, simulator: Simulator) -> None:
    """Collect alone and undisturbed, when all was judged.

    Raises:
        AssertionError: An object is left that nothing needs, or one lacks or is another than it was, or a record is.
    """
    before = _refs(store)
    refs = Refs(store, lambda: simulator.now, actor="cleaner")
    options = Options(keep, 0)
    collect(Objects(store), refs, options)
    objects = Objects(store)
    found = look(objects, refs, options).survey
    needed = {(id, ".json") for id in found.commits}
    needed.update(name for commit in found.commits.values() for name in of_commit(commit, objects.read))
    for version in kept(objects, refs, keep):
        needed.update(load_manifest(objects, version).object_ids())
    for head in refs.branches():
        needed.update((held["source"], ".bin") for held in contracts_of(head).values())
        needed.update((id, ".bin") for id in lists_of(head.settings).values())
    needed.update((id, ".bin") for erase in erases(store) for id in erase.suppress.values())
    keys = {info.key: parse_key(info.key) for info in store.list("objects/")}
    there = set(keys.values())
    for key, name in keys.items():
        check("" if name is None else name[0], store.read(key), key)
    if not before.items() <= _refs(store).items():
        raise AssertionError("a collection changed what is in a log or a tag")
    missing = needed - there
    if missing:
        raise AssertionError(f"a collection took what is needed: {sorted(missing)}")
    for fate in found.fates.values():
        with suppress(
            ObjectNotFound, VersionNotFound
        ):  # of those that a younger branch would keep some had gone before
            needed.update(load_manifest(objects, fate.version).object_ids() if fate.stays else ())
    left = there - needed
    if left:
        raise AssertionError(f"a collection left what nothing needs: {sorted(map(str, left))}")


def _refs(store: Store) -> dict[str, bytes]:
    return {info.key: store.read(info.key) for info in store.list("refs/")}
