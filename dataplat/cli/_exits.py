"""Exit codes, and which error ends in which."""

from __future__ import annotations

from dataplat import errors

DONE = 0
DATA_FAILED = 1
USAGE = 2
NOT_FOUND = 3
CONFLICT = 4
STORE = 5
IN_DOUBT = 6
INTERNAL = 70
INTERRUPTED = 130
BROKEN_PIPE = 141

MEANINGS: dict[int, str] = {
    DONE: "done (also: there was nothing to do)",
    DATA_FAILED: "the data failed: its contract, schema or keys, an input that cannot be read, or nothing landed; a column drifts; a plan of features is refused, an audit found differences; or `doctor` found something wrong",
    USAGE: "the command, a setting, a reference, a name, a column, a predicate or a contract file is wrong",
    NOT_FOUND: "no such lake, dataset, branch, tag, version, queue, feature service or input; or nothing is materialised",
    CONFLICT: "somebody else was first: the branch moved, another snapshot went live, or the name is taken",
    STORE: "the store failed, is unsuitable, or holds damaged bytes; or nobody answers at the input's address, or the annotation server's, the online store's or the feature server's; or Spark did not start, or gave up",
    IN_DOUBT: "the store never said whether the commit landed; the message names its id",
    INTERNAL: "a defect of dataplat itself; run again with --debug and report it",
    INTERRUPTED: "interrupted (Ctrl-C); the branch is where it was",
    BROKEN_PIPE: "the reader of the output went away",
}

# The first class that fits decides, so leaves come before their parents.
_CODES: tuple[tuple[type[errors.DataplatError], int], ...] = (
    (errors.SourceNotFound, NOT_FOUND),
    (errors.SourceUnreachable, STORE),
    (errors.CommitInDoubt, IN_DOUBT),
    (errors.CommitError, CONFLICT),
    (errors.AlreadyExists, CONFLICT),
    (errors.BadReference, USAGE),
    (errors.BadName, USAGE),
    (errors.BadColumn, USAGE),
    (errors.PredicateError, USAGE),
    (errors.ConfigError, USAGE),
    (errors.ContractFailed, DATA_FAILED),
    (errors.ContractError, USAGE),
    (errors.QueueNotFound, NOT_FOUND),
    (errors.LabelConfigError, USAGE),
    (errors.LabelServerError, STORE),
    (errors.FeatureNotFound, NOT_FOUND),
    (errors.ClosureMismatch, USAGE),
    (errors.NotMaterialized, NOT_FOUND),
    (errors.SnapshotConflict, CONFLICT),
    (errors.FeatureServerError, STORE),
    (errors.RefError, NOT_FOUND),
    (errors.LakeNotFound, NOT_FOUND),
    (errors.LakeFormatError, STORE),
    (errors.StoreError, STORE),
    (errors.IntegrityError, STORE),
    (errors.EngineError, STORE),
    (errors.DataplatError, DATA_FAILED),
)


def code_of(error: errors.DataplatError) -> int:
    """Return the exit code in which `error` ends."""
    return next(code for kind, code in _CODES if isinstance(error, kind))
