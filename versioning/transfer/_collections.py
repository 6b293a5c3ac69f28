"""What a transfer asks of collections: what was collected in the source, and what is being deleted in the target."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from dataplat.errors import CommitConflict, ObjectExists, ObjectNotFound, VersionNotFound
from dataplat.lake._object_keys import generation_key, object_key
from dataplat.versioning.gc._condemned import Condemned
from dataplat.versioning.gc._log import Closed, Done, GcLog
from dataplat.versioning.gc.gone import collected
from dataplat.versioning.gc.guard import GC, GC_LAST
from dataplat.versioning.manifest import Manifest, load_manifest
from dataplat.versioning.needs import of_version
from dataplat.versioning.transfer._erased import refuse_erased
from dataplat.versioning.transfer._missing import transfer_pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dataplat.versioning.needs import Name
    from dataplat.versioning.publish import LakeIO
    from dataplat.versioning.transfer._missing import Missing

Renew: TypeAlias = Callable[[Mapping[str, Any]], object]
"""Makes what was brought fit to be named by a record after one with these settings of a branch (see `Renewal.ready`)."""


def note_collected(target: LakeIO, gone: Iterable[tuple[str, str]]) -> None:
    """Say in `target` that versions (dataset, id) were collected elsewhere: a collection that deletes no key."""
    store, refs = target.objects.store, target.refs
    known = collected(store)
    versions: dict[str, list[str]] = {}
    for dataset, version in gone:
        if version not in known:
            versions.setdefault(dataset, []).append(version)
    log = GcLog(store)
    while versions:
        number = max((entry.number for entry in log.entries()), default=0) + 1
        actor, time = refs.actor, refs.now()
        closed = Closed(number=number, actor=actor, time=time, nonce=refs.nonce(), versions=versions)
        if log.write(closed, refs.patience):
            done = Done(number=number, actor=actor, time=time, nonce=refs.nonce(), definite=True)
            log.write(done, refs.patience)
            return


class Renewal:
    """Writes anew, under keys that no collection knows, objects of the target that a collection may delete.

    Make it before it is asked which objects the target has: collections that began later are looked at, too.
    """

    def __init__(self, source: LakeIO, target: LakeIO) -> None:
        self._source, self._target = source, target
        self._condemned = Condemned(target.objects.store)
        heads = target.refs.branches()
        self._since = min((head.settings.get(GC_LAST, 0) for head in heads), default=0)
        self._open = {number for head in heads for number in head.settings.get(GC, ())}
        self._suppressing = target.refs.suppressing()
        self._renewed: dict[Name, set[int]] = {}

    def key(self, name: Name) -> str:
        """Return where to write an object that the target lacks: under its plain key only where nobody deletes that."""
        if not self._condemned.by(name, self._open):
            return object_key(*name)
        return self._condemned.spared(name, self._open) or generation_key(*name, secrets.token_hex(4))

    def ready(self, lacking: Missing) -> Renew:
        """Return what is to be called right before a branch or a tag names the commits of a transfer."""

        def make_ready(settings: Mapping[str, Any]) -> None:
            self.renew(settings, lacking)
            if self._target.refs.suppressing() != self._suppressing:  # somebody erased since it was asked
                refuse_erased(self._source, self._target, lacking.commits)

        return make_ready

    def renew(self, settings: Mapping[str, Any], lacking: Missing) -> None:
        """Make what the commits of a transfer need safe to be named by a record with, or after one with, `settings`."""
        came = range(self._since + 1, settings.get(GC_LAST, 0) + 1)
        numbers = sorted({*self._open, *settings.get(GC, ()), *came})
        if not numbers:
            return
        needed = lacking.needed | self._of_versions(lacking)
        names = [name for name in needed if self._condemned.by(name, numbers) - self._renewed.get(name, set())]
        with transfer_pool(self._target.objects) as pool:
            for name in pool.map(partial(self._spare, numbers), names):
                self._renewed.setdefault(name, set()).update(numbers)

    def _spare(self, numbers: Sequence[int], name: Name) -> Name:
        """Write an object anew unless it has a key that none of the collections deletes."""
        if not self._condemned.spared(name, numbers):
            if not self._source.objects.exists(*name):
                raise CommitConflict(
                    f"object {name[0][:12]} is being deleted by a collection there, and is not here: try again later"
                )
            key = generation_key(*name, secrets.token_hex(4))
            with suppress(ObjectExists):  # nobody else has the token: it is ours, whatever carried it sent it twice
                self._target.objects.store.create(key, self._source.objects.read(*name))
        return name

    def _of_versions(self, lacking: Missing) -> frozenset[Name]:
        """Return all that the versions need, what other branches of the target have too: they may be deleted."""
        objects, before = self._source.objects, dict[str, Manifest]()
        found: set[Name] = set()
        for dataset, version in lacking.versions:
            try:
                manifest = load_manifest(objects, version)
                found.update(of_version(objects, manifest, before.get(dataset)))
            except (ObjectNotFound, VersionNotFound):  # the target has it, and the source has no more
                continue
            before[dataset] = manifest
        return frozenset(found)
