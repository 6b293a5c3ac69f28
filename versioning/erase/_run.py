"""Erase: rows of one dataset go from every version of it, and every version stays.

    suppress   the condition is put down, and a fence on every branch makes every writer know of it
    rewrite    every version that holds such a row, in any part, gets a new one without it; a redaction leads there
    move       branches whose newest version was rewritten get a commit of mode erase
               … again, until nothing is left: a writer may have made a version of an old one meanwhile
    collect    what nothing needs any more is deleted, through a collection with all that makes it safe

Whatever is killed where, the same call goes on with it: each step looks at what is there. `docs/erase.md` says what is
to be seen meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import CommitConflict, IntegrityError, ObjectNotFound
from dataplat.lake._object_keys import parse_key
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.verified import forget as forget_copies
from dataplat.versioning import before_image
from dataplat.versioning.erase._fence import fence
from dataplat.versioning.erase._publish import move_heads, over, redact
from dataplat.versioning.erase._reports import blanked
from dataplat.versioning.erase._rewrite import Rewriter
from dataplat.versioning.erase._scope import keep_everything
from dataplat.versioning.erase._survey import Request, Sight, see
from dataplat.versioning.erasures import EraseFile, newest, write
from dataplat.versioning.gc._leases import take_lease
from dataplat.versioning.gc.collect import Options, collect, look
from dataplat.versioning.gc.gone import collected
from dataplat.versioning.suppression import Entries, Entry, load_entries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataplat.versioning.gc.collect import Collected
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.publish import LakeIO

_ROUNDS: Final = 50
"""How often is looked again because branches moved meanwhile."""

_COLLECTIONS: Final = 10
"""How often is collected again because another collection took over, or a memo of something old came since."""


@dataclass(slots=True)
class Done:
    """What an erase did. `number` names it; `versions` were rewritten, and lost `rows` and `rejected` records in all.

    `held` are the actors whose leases keep old versions; until these end something is left.
    """

    number: int
    versions: int = 0
    rows: int = 0
    rejected: int = 0
    reports: int = 0
    commits: list[str] = field(default_factory=list)
    objects: int = 0
    nbytes: int = 0
    memos: int = 0
    held: tuple[str, ...] = ()
    definite: bool = True


def erase(lake: LakeIO, request: Request, stage_told: Callable[[str], object] = lambda _: None) -> Done:
    """Erase, or go on with an erase that was stopped.

    Raises:
        DatasetNotFound, PredicateError: See `see`. Nothing was touched.
        CommitConflict: Branches moved all the time; what was done holds, and the same call goes on.
        CommitInDoubt: The store did not answer; the same call goes on.
        IntegrityError: What is needed cannot be read; nothing was deleted.
    """
    stage_told("looking")
    sight = see(lake.objects, lake.refs, request)
    file = _suppressed(lake, sight, request)
    fence(lake.objects, lake.refs, file)
    done = Done(file.number)
    message = request.reason or f"erase {file.number}"
    for _ in range(_ROUNDS):
        stage_told("erasing")
        sight = see(lake.objects, lake.refs, request)
        _rewrite(lake, sight, file, request, done)
        try:
            moved = move_heads(lake, sight, message)
        except CommitConflict:
            continue  # look at what came
        done.commits += moved
        if not (sight.dirty or sight.dirty_rejects or moved):
            break
    else:
        raise CommitConflict("branches moved all the time while rows were erased. Erase again: it goes on.")
    stage_told("collecting")
    _collect(lake, sight, done)
    return done


def _suppressed(lake: LakeIO, sight: Sight, request: Request) -> EraseFile:
    """Return the erase that says of every name of the dataset that such rows may not come back; written if need be.

    Every name gets what any of them has: a name that came with a rename has its list on branches only.
    """
    entry = sight.condition.entry()
    refs, store = lake.refs, lake.objects.store
    while True:
        last = newest(store)
        known = {} if last is None else last.suppress
        lists = [_list(lake.objects, known.get(name)) for name in sight.scope.names]
        if last is not None and all(entry in entries for entries in lists):
            return last
        entries = dict.fromkeys([*chain.from_iterable(lists), entry])
        with Stage(store) as stage:
            id = stage.put(Entries(entries=tuple(entries), nonce=refs.nonce()).encode(), ".bin")
            # nothing names the list before the erase does: the lease keeps it from collections until then
            with take_lease(refs, "write", objects=[id]):
                stage.flush()
                file = EraseFile(
                    number=1 if last is None else last.number + 1,
                    datasets=sight.scope.names,
                    entry=entry.id,
                    suppress={**known, **dict.fromkeys(sight.scope.names, id)},
                    actor=refs.actor,
                    time=refs.now(),
                    nonce=refs.nonce(),
                    reason=request.reason,
                )
                if write(store, file, refs.patience):
                    return file


def _list(objects: Objects, id: str | None) -> tuple[Entry, ...]:
    return () if id is None else load_entries(objects, id).entries


def _rewrite(lake: LakeIO, sight: Sight, file: EraseFile, request: Request, done: Done) -> None:
    """Write new versions of all that hold such rows, and lead there."""
    harmless = over(lake)
    with Stage(lake.objects.store) as stage:
        leads: dict[str, str] = {}
        for manifests, dirty in ((sight.manifests, sight.dirty), (sight.rejects, sight.dirty_rejects)):
            rewriter = Rewriter(Objects(lake.objects.store, stage), stage, dirty)
            for id, manifest in manifests.items() if dirty else ():
                fresh = _rewritten(rewriter, manifest, sight)
                if fresh.id != id:
                    leads[id] = fresh.id
        versions = len(leads)
        leads.update(blanked(sight.objects, sight.redactions, sight.scope, stage))
        done.reports += len(leads) - versions
        if leads:
            redact(lake, stage, leads, str(file.number), request.reason, harmless)
    done.versions += versions
    done.rows += sight.rows
    done.rejected += sight.rejected


def _rewritten(rewriter: Rewriter, manifest: Manifest, sight: Sight) -> Manifest:
    """Return a version without the rows; as it is where it is being collected, and only parts of it are there."""
    try:
        return rewriter.manifest(manifest)
    except (IntegrityError, ObjectNotFound):
        if sight.redactions.leading_to(manifest.id).isdisjoint(collected(sight.objects.store)):
            raise
        return manifest


def _collect(lake: LakeIO, sight: Sight, done: Done) -> None:
    """Delete what nothing needs any more, and every memo of it."""
    options = Options(grace=0, keeping=keep_everything)
    went: list[str] = []
    for _ in range(_COLLECTIONS):
        try:
            seen = look(lake.objects, lake.refs, options)
            result: Collected = collect(lake.objects, lake.refs, options, seen=seen)
            went += [name[0] for info in seen.candidates if (name := parse_key(info.key)) is not None]
        except CommitConflict:  # another collection took over; it knows less than we do
            continue
        done.objects += result.objects
        done.nbytes += result.nbytes
        done.memos += result.memos
        done.definite = done.definite and result.definite
        if not (result.objects or result.memos):
            break
    before_image.forget(lake.objects.store)
    lake.objects.forget()
    sweep: Any = getattr(lake.objects.store, "sweep", None)
    if sweep is not None:
        sweep()
    forget_copies(went)
    pinned = partial(_holds, sight)
    done.held = tuple(sorted({held.file.actor for held in seen.survey.leases if pinned(held.file.versions)}))


def _holds(sight: Sight, versions: Iterable[str]) -> bool:
    """Whether one of `versions` is an old one, which a lease keeps as it is."""
    from dataplat.versioning.redactions import Redactions

    redactions = Redactions.load(sight.objects.store)
    mine = {*sight.scope.versions, *sight.scope.rejects_versions}
    return any(version in redactions.leads and version in mine for version in versions)
