"""Every error that dataplat raises on purpose.

Catch `DataplatError` to catch them all; each leaf also derives from the built-in that fits, so code that
knows nothing of dataplat can catch `FileNotFoundError` or `ValueError`.

    DataplatError
    ├── ConfigError (ValueError)              a setting, flag or configuration file is wrong
    │   └── MissingExtra (ImportError)        an optional package is not installed; the message names the extra
    ├── StoreError (OSError)                  a store did not do what was asked
    │   ├── ObjectNotFound (FileNotFoundError)
    │   ├── ObjectExists (FileExistsError)    create-if-absent lost: somebody else created the name first
    │   ├── StoreUnsuitable                   the store lacks atomic create-if-absent; `init` refuses it
    │   └── StoreTimeout (TimeoutError)       no answer; the request may have landed or not
    ├── IntegrityError                        stored bytes are not the bytes that were written
    ├── LakeNotFound (FileNotFoundError)      no lake here, or anywhere upward
    ├── LakeFormatError                       the lake was written by a newer or foreign program
    ├── RefError (LookupError)                a reference that cannot be read or resolves to nothing
    │   ├── BadReference (ValueError)         its grammar is wrong
    │   ├── BadName (ValueError)              a name that may not be given to a branch, tag or dataset
    │   ├── DatasetNotFound (KeyError)
    │   ├── BranchNotFound (KeyError)
    │   ├── TagNotFound (KeyError)
    │   └── VersionNotFound (KeyError)
    ├── AlreadyExists (FileExistsError)       a branch, tag or dataset of that name is there already
    ├── SchemaError (ValueError)              columns or types do not fit
    │   ├── BadColumn                         a column or type that is asked for is not there, taken or no type
    │   └── SchemaMismatch                    the input's columns differ from the dataset's
    ├── KeyViolation (ValueError)             null, NaN, duplicate, existing or missing key
    ├── PredicateError (ValueError)           a `where` that cannot be read or names no such column
    ├── SourceError (ValueError)              an input that cannot be read; says file, line, column, value
    │   ├── SourceNotFound (FileNotFoundError)
    │   ├── SourceUnreachable (ConnectionError)  nobody answers at the input's address, or not in time
    │   └── SourceGap                         a stream no longer holds what comes next, or is another one now
    ├── ContractError (ValueError)            a contract that cannot be loaded or evaluated
    │   └── ContractFailed                    the data does not meet its contract; `.report` says where
    ├── EngineError                           an engine could not do a piece of work, or cannot be had
    ├── LabelError                            a queue of labels cannot do what is asked
    │   ├── QueueNotFound (KeyError)
    │   ├── LabelConfigError (ValueError)     a label config that cannot be read, or does not fit the data
    │   └── LabelServerError (OSError)        the annotation server did not do what was asked
    │       ├── LabelServerDenied (PermissionError)   the token is wrong, or has expired
    │       ├── LabelServerTimeout (TimeoutError)     no answer; the request may have taken effect or not
    │       └── LabelServerTooLarge (ValueError)      one request held more than the server takes
    ├── FeatureError                          a feature store cannot do what is asked
    │   ├── FeatureNotFound (KeyError)        no view, service or entity of that name, or none of that version
    │   ├── ClosureMismatch (ValueError)      a model was trained under other definitions; `.sent`, `.served`
    │   ├── NotMaterialized (LookupError)     a service has no snapshot that could be served
    │   └── SnapshotConflict                  another snapshot went live meanwhile
    ├── FeatureServerError (OSError)          a feature server did not do what was asked; `.status`, `.request_id`
    │   ├── FeatureServerDenied (PermissionError)   the API key is missing, wrong, or not for this
    │   └── FeatureServerTimeout (TimeoutError)     no answer in time
    └── CommitError                           a branch did not move
        ├── CommitConflict                    the branch moved and the change does not hold on its new head
        │   ├── PositionConflict              somebody else read the same source meanwhile
        │   ├── KeyConflict                   rows added meanwhile have the same keys
        │   └── MergeConflict                 two branches changed the same thing; `.conflicts` is the table
        ├── BranchProtected (PermissionError) the branch is held to a contract that this would take away
        └── CommitInDoubt                     the store never said whether the record landed; `.commit_id`
"""

from __future__ import annotations

from typing import Any


class DataplatError(Exception):
    """Root of all errors that dataplat raises on purpose."""


class ConfigError(DataplatError, ValueError):
    """A setting, a flag or a configuration file is wrong."""


class MissingExtra(ConfigError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


class StoreError(DataplatError, OSError):
    """A store did not do what was asked of it."""


class ObjectNotFound(StoreError, FileNotFoundError):
    """No object has that name in the store."""


class ObjectExists(StoreError, FileExistsError):
    """Create-if-absent lost: an object of that name is there already."""


class StoreUnsuitable(StoreError):
    """The store cannot create a name atomically, so no lake may live on it."""


class StoreTimeout(StoreError, TimeoutError):
    """The store gave no answer in time: the request may have landed, or not, or may land later."""


class IntegrityError(DataplatError):
    """Stored bytes are not the bytes that were written."""


class LakeNotFound(DataplatError, FileNotFoundError):
    """There is no lake at that place, nor in any folder above it."""


class LakeFormatError(DataplatError):
    """The lake was written in a format that this version of dataplat cannot read."""


class RefError(DataplatError, LookupError):
    """A reference that cannot be read, or that resolves to nothing."""


class BadReference(RefError, ValueError):
    """A reference whose grammar is wrong."""


class BadName(RefError, ValueError):
    """A name that may not be given to a branch, a tag or a dataset."""


class DatasetNotFound(RefError, KeyError):
    """No dataset of that name exists at that reference."""

    __str__ = Exception.__str__


class BranchNotFound(RefError, KeyError):
    """No branch has that name."""

    __str__ = Exception.__str__


class TagNotFound(RefError, KeyError):
    """No tag has that name."""

    __str__ = Exception.__str__


class VersionNotFound(RefError, KeyError):
    """No version matches: the id is unknown, or the history does not reach back so far."""

    __str__ = Exception.__str__


class AlreadyExists(DataplatError, FileExistsError):
    """A branch, tag or dataset of that name is there already."""


class SchemaError(DataplatError, ValueError):
    """Columns or types that do not fit, or that dataplat cannot hold."""


class BadColumn(SchemaError):
    """A column or type that is asked for is not there, taken, named twice, or no type."""


class SchemaMismatch(SchemaError):
    """The input's columns or types differ from the dataset's."""


class KeyViolation(DataplatError, ValueError):
    """A key that is null, NaN, a duplicate, there already, or missing."""


class PredicateError(DataplatError, ValueError):
    """A `where` that cannot be read, or that names a column that is not there."""


class SourceError(DataplatError, ValueError):
    """An input that cannot be read; the message says file, line or row, column and value."""


class SourceNotFound(SourceError, FileNotFoundError):
    """The input does not exist, or a glob matched nothing."""


class SourceUnreachable(SourceError, ConnectionError):
    """Nobody answers at the input's address, or not in time; it may be tried again."""


class SourceGap(SourceError):
    """A stream no longer holds the records that come next, or another stream has taken its name."""


class ContractError(DataplatError, ValueError):
    """A contract that cannot be loaded or evaluated."""


class ContractFailed(ContractError):
    """The data does not meet its contract; `.report` holds what failed and where."""

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class EngineError(DataplatError):
    """An engine (Spark) could not do a piece of work, for a reason of its own."""


class LabelError(DataplatError):
    """A queue of labels cannot do what is asked of it."""


class QueueNotFound(LabelError, KeyError):
    """No queue has that name."""

    __str__ = Exception.__str__


class LabelConfigError(LabelError, ValueError):
    """A label config that cannot be read, or that does not fit the data."""


class LabelServerError(LabelError, OSError):
    """The annotation server did not do what was asked of it."""


class LabelServerDenied(LabelServerError, PermissionError):
    """The token is wrong, or has expired."""


class LabelServerTimeout(LabelServerError, TimeoutError):
    """The annotation server gave no answer in time: the request may have taken effect, or not, or may later."""


class LabelServerTooLarge(LabelServerError, ValueError):
    """One request held more than the annotation server takes; nothing of it was done."""


class FeatureError(DataplatError):
    """A feature store cannot do what is asked of it."""


class FeatureNotFound(FeatureError, KeyError):
    """No view, service or entity has that name, or none of that version."""

    __str__ = Exception.__str__


class ClosureMismatch(FeatureError, ValueError):
    """A model was trained under other definitions than are served; `.sent` and `.served` are the hashes of both."""

    def __init__(self, message: str, sent: str = "", served: str = "") -> None:
        super().__init__(message)
        self.sent = sent
        self.served = served


class NotMaterialized(FeatureError, LookupError):
    """A service has no snapshot that could be served, or none before the live one."""


class SnapshotConflict(FeatureError):
    """Another snapshot went live meanwhile: what was made from the one before does not fit it."""


class FeatureServerError(DataplatError, OSError):
    """A feature server did not do what was asked of it; `.status` is its HTTP status, 0 where it did not answer."""

    def __init__(self, message: str, status: int = 0, request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class FeatureServerDenied(FeatureServerError, PermissionError):
    """The API key is missing, wrong, or not for what was asked."""


class FeatureServerTimeout(FeatureServerError, TimeoutError):
    """The feature server gave no answer in time."""


class CommitError(DataplatError):
    """A branch did not move."""


class CommitConflict(CommitError):
    """The branch moved meanwhile, and the change does not hold on its new head."""


class PositionConflict(CommitConflict):
    """Somebody else read the same source meanwhile: the assumed start position no longer holds."""


class KeyConflict(CommitConflict):
    """Rows that were added meanwhile have the same keys."""


class BranchProtected(CommitError, PermissionError):
    """The branch is held to contracts, and this would take them, or what they speak of, away."""


class MergeConflict(CommitConflict):
    """Two branches changed the same thing, each otherwise; `.conflicts` is an Arrow table, one row for each."""

    def __init__(self, message: str, conflicts: Any = None) -> None:
        super().__init__(message)
        self.conflicts = conflicts


class CommitInDoubt(CommitError):
    """The store never said whether the commit landed; `.commit_id` names it, so that a reader can look."""

    def __init__(self, message: str, commit_id: str) -> None:
        super().__init__(message)
        self.commit_id = commit_id
