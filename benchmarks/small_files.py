"""A folder of very many small files: add it, ask what changed in it, take in one change, bring it back; beside DVC."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from benchmarks._lake import init
from benchmarks._measure import DATA, DATAPLAT, HERE, Result, Side, compare, side_program, tree_bytes
from benchmarks._settings import Settings
from benchmarks._table import Line, Table, of, ratio

ADD, SAME, CHANGED = "add", "status, nothing changed", "status after one change"
TAKE, BACK = "take in one change", "bring all back"
WHAT = (ADD, SAME, CHANGED, TAKE, BACK)
ASKED = (ADD, SAME, CHANGED)
"""What the issue asks to be ten times as fast."""


def tables(settings: Settings) -> list[Table]:
    """Measure whole processes on one folder; DVC in an environment of its own (`make dvc`), with nothing but files."""
    folder = _files(settings.files)
    repository, lake = DATA / f"dvc-files-{settings.files}", DATA / f"lake-files-{settings.files}"
    dvc = _dvc() if settings.slow else None
    results = compare([_dataplat_add(folder), *([] if dvc is None else [_dvc_add(dvc, folder)])], settings.repeat)
    try:
        _begin(dvc, repository, lake, folder)
        results += _looks(dvc, repository, lake, settings.repeat)
    finally:
        for place in (repository, Path(f"{repository}-site"), lake):
            shutil.rmtree(place, ignore_errors=True)
    return [Table(f"A folder of {settings.files:,} files of 1 kB", tuple(_lines(results)), tuple(results))]


def _lines(results: list[Result]) -> list[Line]:
    return [
        ratio(f"{what}, beside DVC", of(results, f"dataplat, {what}"), of(results, f"DVC, {what}"), 0.1)
        if what in ASKED
        else ratio(f"{what}, beside DVC", of(results, f"dataplat, {what}"), of(results, f"DVC, {what}"), 1)
        for what in WHAT
    ]


def _files(number: int) -> Path:
    path = DATA / f"files-{number}"
    if not path.exists():
        DATA.mkdir(exist_ok=True)
        print(f"    making {path.name}", file=sys.stderr, flush=True)
        subprocess.run(side_program("make_files", number, path), check=True)
    return path


def _dvc() -> Path:
    """Return the program of the real DVC; its environment is made where there is none."""
    spec = importlib.util.spec_from_file_location("real_dvc", HERE.parent / "scripts" / "real_dvc.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    program: Path = module.make()
    return program


def _run_dvc(dvc: Path, repository: Path, *words: str) -> list[str]:
    """Return a command in a repository; what DVC remembers elsewhere lies beside it."""
    settings = [f"DVC_SITE_CACHE_DIR={repository}-site", "DVC_NO_ANALYTICS=1", "CI=1"]
    return ["env", *settings, str(dvc), "--cd", str(repository), *words]


def _copy(folder: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", "--preserve=timestamps", str(folder), str(target)], check=True)


def _repository(dvc: Path, repository: Path, folder: Path) -> None:
    repository.mkdir(parents=True)
    _copy(folder, repository / "files")
    start = [str(dvc), "init", "--no-scm", "-q"]
    subprocess.run(start, cwd=repository, check=True, stdout=subprocess.DEVNULL)


def _dataplat_add(folder: Path) -> Side:
    def command(scratch: Path) -> list[str]:
        return [DATAPLAT, "ingest", str(folder), "--into", "files", "--format", "tree", "--lake", str(scratch / "lake")]

    return Side(
        f"dataplat, {ADD}",
        command,
        lambda scratch: init(scratch / "lake"),
        lambda scratch: {"bytes": tree_bytes(scratch / "lake")},
    )


def _dvc_add(dvc: Path, folder: Path) -> Side:
    return Side(
        f"DVC, {ADD}",
        lambda scratch: _run_dvc(dvc, scratch / "repository", "add", "files"),
        lambda scratch: _repository(dvc, scratch / "repository", folder),
        lambda scratch: {"bytes": tree_bytes(scratch / "repository" / ".dvc", within=("cache",))},
        once=True,
    )


def _begin(dvc: Path | None, repository: Path, lake: Path, folder: Path) -> None:
    """Make what the looks start from: one folder that both have taken in, and looked at once."""
    for place in (repository, lake):
        shutil.rmtree(place, ignore_errors=True)
    if dvc is None:
        repository.mkdir()
        _copy(folder, repository / "files")
    else:
        _repository(dvc, repository, folder)
        for words in (("add", "files"), ("status", "files.dvc")):
            subprocess.run(_run_dvc(dvc, repository, *words), check=True, stdout=subprocess.DEVNULL)
    init(lake)
    for command in (_ingest(repository, lake), _status(lake)):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _ingest(repository: Path, lake: Path) -> list[str]:
    mode = ["--mode", "replace", "--format", "tree"]
    return [DATAPLAT, "ingest", str(repository / "files"), "--into", "files", *mode, "--lake", str(lake)]


def _status(lake: Path) -> list[str]:
    """Return the command; that a file differs (1) is an answer, no error."""
    words = [DATAPLAT, "version", "status", "files", "--lake", str(lake)]
    return ["sh", "-c", '"$@" || [ $? -eq 1 ]', "sh", *words]


def _looks(dvc: Path | None, repository: Path, lake: Path, repeat: int) -> list[Result]:
    """Measure what is done with a folder that was taken in; each round of a change writes one file anew."""
    numbers = count()

    def change(_: Path) -> None:
        (repository / "files" / "000" / "000007.txt").write_text(f"changed for the {next(numbers)}. time")

    ours = {SAME: _status(lake), CHANGED: _status(lake), TAKE: _ingest(repository, lake)}
    theirs = {SAME: ("status", "files.dvc"), CHANGED: ("status", "files.dvc"), TAKE: ("add", "files")}
    results: list[Result] = []
    for what, command in ours.items():
        sides = [_fixed(f"dataplat, {what}", command, None if what == SAME else change)]
        if dvc is not None:
            sides.append(_fixed(f"DVC, {what}", _run_dvc(dvc, repository, *theirs[what]), sides[0].prepare))
        results += compare(sides, repeat)
    return results + compare(_back(dvc, repository, lake), 1)


def _fixed(name: str, command: list[str], prepare: Callable[[Path], None] | None) -> Side:
    return Side(name, lambda _: command, prepare)


def _back(dvc: Path | None, repository: Path, lake: Path) -> list[Side]:
    """Return the sides that make the folder anew from what was taken in."""

    def export(scratch: Path) -> list[str]:
        return [DATAPLAT, "version", "export", "files", str(scratch / "out"), "--lake", str(lake)]

    sides = [Side(f"dataplat, {BACK}", export)]
    if dvc is not None:
        checkout = _run_dvc(dvc, repository, "checkout", "files.dvc")
        sides.append(_fixed(f"DVC, {BACK}", checkout, lambda _: shutil.rmtree(repository / "files")))
    return sides
