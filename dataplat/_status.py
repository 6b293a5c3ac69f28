"""What became of the files that a dataset was landed from. Looks at names, sizes and times; reads as little as it can."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from dataplat.errors import ConfigError, SourceNotFound
from dataplat.ingest._progress import Listener, Meter
from dataplat.ingest._target import Target
from dataplat.versioning.names import check_dataset_name

if TYPE_CHECKING:
    from dataplat._lake import Lake

State: TypeAlias = Literal["same", "touched", "changed"]


@dataclass(frozen=True, slots=True)
class Status:
    """How files are beside a version: names in order, `touched` those with another time and the same content.

    Names are relative to `folder`, or whole paths where there is none. `same` counts the unchanged, touched ones too.
    """

    dataset: str
    branch: str
    version: str
    folder: str | None
    new: tuple[str, ...]
    changed: tuple[str, ...]
    deleted: tuple[str, ...]
    touched: tuple[str, ...]
    same: int

    @property
    def is_same(self) -> bool:
        """Whether landing the files again would bring nothing but times."""
        return not (self.new or self.changed or self.deleted)

    def to_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Return counts, and the names of each kind, the first `limit` of them."""
        kinds = {"new": self.new, "changed": self.changed, "deleted": self.deleted, "touched": self.touched}
        return {
            "dataset": self.dataset,
            "branch": self.branch,
            "version": self.version,
            "folder": self.folder,
            "is_same": self.is_same,
            "counts": {**{kind: len(names) for kind, names in kinds.items()}, "same": self.same},
            **{kind: list(names[:limit]) for kind, names in kinds.items()},
        }


def status(
    lake: Lake, dataset: str, folder: str | Path | None, branch: str, listener: Listener | None, *, content: bool
) -> Status:
    """Compare a dataset at the head of a branch with files; see `Lake.status`."""
    from dataplat.versioning.export import is_tree

    commit = lake.refs.head(branch).commit
    target = Target.at(lake.objects, commit, check_dataset_name(dataset))
    if target.manifest is None:
        lake.version(dataset, branch)  # raises, and says what there is
    assert target.manifest is not None
    root = None if folder is None else Path(os.path.abspath(folder))  # noqa: PTH100 (links are left as they are)
    if root is not None and not root.is_dir():
        raise SourceNotFound(f"{folder} is no folder (looked in {Path.cwd()})")
    meter = Meter(listener, stage="comparing")
    if is_tree(target.manifest):
        from dataplat._status_tree import compare_tree

        return compare_tree(target, branch, root or _landed_from(target), meter, content=content)
    return _compare_files(target, branch, root, meter, content=content)


def _landed_from(target: Target) -> Path:
    """Return the folder that a dataset was landed from."""
    folders = [source.removeprefix("tree:") for source in target.positions() if source.startswith("tree:")]
    if len(folders) != 1:
        came = "from no folder" if not folders else f"from {len(folders)} folders ({', '.join(sorted(folders)[:3])})"
        raise ConfigError(f"{target.name} was landed {came}: say with which one to compare it")
    if not Path(folders[0]).is_dir():
        raise SourceNotFound(f"{target.name} was landed from {folders[0]}, which is gone: say where its files lie now")
    return Path(folders[0])


def _compare_files(target: Target, branch: str, root: Path | None, meter: Meter, *, content: bool) -> Status:
    """Compare the files that rows came from by their positions; new is what the folders and patterns now hold that they came from."""
    from dataplat.connectors.files._far_open import is_far

    positions = target.positions()
    held = {
        Path(source.removeprefix("file:")): position
        for source, position in positions.items()
        if source.startswith("file:")
    }
    if not held and (far := [source for source in positions if is_far(source)]):
        more = f" and {len(far) - 1:,} more" if len(far) > 1 else ""
        raise ConfigError(
            f"{target.name} was landed from {far[0]}{more}, and status looks at files of this machine only. Ingest them "
            "again: what has not changed is left out"
        )
    if not held:
        raise ConfigError(f"{target.name} was not landed from files, so there is nothing to compare it with")
    if root is not None:
        held = {path: position for path, position in held.items() if path.is_relative_to(root)}
    states = {path: _state(path, position, content=content) for path, position in sorted(held.items())}
    there = _found_now(held) if root is None else _below(root)

    def names(wanted: Callable[[Path], bool], paths: Mapping[Path, Any]) -> tuple[str, ...]:
        return tuple(str(path if root is None else path.relative_to(root)) for path in paths if wanted(path))

    meter.enter("compared")
    return Status(
        target.name,
        branch,
        str(target.version),
        None if root is None else str(root),
        new=names(lambda path: path not in held, dict.fromkeys(there)),
        changed=names(lambda path: states[path] == "changed", states),
        deleted=names(lambda path: states[path] is None, states),
        touched=names(lambda path: states[path] == "touched", states),
        same=sum(state in {"same", "touched"} for state in states.values()),
    )


def _state(path: Path, held: Mapping[str, Any], *, content: bool) -> State | None:
    """Return what became of a file; None where it is gone."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    if stat.st_size != held.get("size"):
        return "changed"
    timely = stat.st_mtime_ns == held.get("mtime_ns")
    if timely and not content:
        return "same"
    from dataplat.connectors.files._stream import position_of

    if position_of(path)["xxh3_128"] != held.get("xxh3_128"):
        return "changed"
    return "same" if timely else "touched"


def _found_now(held: Mapping[Path, Mapping[str, Any]]) -> list[Path]:
    """Return the data files where files were found by folder or pattern; a file that was named itself brings no others."""
    from dataplat.connectors.files._formats import format_of_name
    from dataplat.connectors.files._open import files_found_by

    suffixes = {path.suffix for path in held}
    places = sorted({position["found_by"] for position in held.values() if "found_by" in position})
    found = sorted({path for place in places for path in files_found_by(place)})
    return [path for path in found if path.suffix in suffixes or format_of_name(path.name) is not None]


def _below(root: Path) -> list[Path]:
    """Return the data files below a folder."""
    from dataplat.connectors.files._folder import files_below
    from dataplat.connectors.files._formats import format_of_name

    return [root / name for name in files_below(root, hidden=False).names if format_of_name(name) is not None]
