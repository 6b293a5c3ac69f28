"""Other datasets of a lake, for rules that look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.validation.rules import Context

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.validation.subject import Subject
    from dataplat.versioning.commit import StateOf


def context_in_lake(objects: Objects, dataset: str, state_of: StateOf) -> Context:
    """Return what rules may look at beside `dataset`.

    `airlines` is as `state_of` has it: the commit that is judged, or that is about to be made. `airlines@v3` is as
    anybody finds it, `@v3` is that version of `dataset` itself. What is not there raises `DatasetNotFound`.
    """
    from dataplat.errors import DatasetNotFound
    from dataplat.validation.subject import VersionSubject
    from dataplat.versioning.manifest import load_manifest
    from dataplat.versioning.references import resolve, says_where
    from dataplat.versioning.refs import Refs

    def find(ref: str) -> Subject:
        if says_where(ref):
            name, manifest, _ = resolve(Refs(objects.store), objects, ref, dataset=dataset)
            return VersionSubject(objects, manifest, name)
        state = state_of(ref)
        if state is None or state.version is None:
            raise DatasetNotFound(f"there is no dataset {ref!r} beside {dataset!r}")
        return VersionSubject(objects, load_manifest(objects, state.version), ref)

    return Context(resolve=find)
