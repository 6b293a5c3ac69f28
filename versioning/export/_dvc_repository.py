"""The files of a DVC repository that an export writes: `.dvc/config`, `NAME.dvc` and what Git has to leave out."""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dataplat.errors import ConfigError

REMOTE: Final = "dataplat"
_SECTION: Final = f"'remote \"{REMOTE}\"'"
_IGNORED: Final = "/config.local\n/tmp\n/cache\n"


@dataclass(frozen=True, slots=True)
class Repository:
    """A DVC repository: its root, the folder in it that is exported into, and the folder of its remote `dataplat`."""

    root: Path
    target: Path
    remote: Path

    @classmethod
    def at(cls, target: Path, remote: str | Path | None) -> Repository:
        """Return the repository that `target` lies in, after adding the remote; make one there where there is none.

        Raises:
            ConfigError: Its remote `dataplat` is another one than `remote`.
        """
        root = next((folder for folder in (target, *target.parents) if (folder / ".dvc").is_dir()), target)
        config = root / ".dvc" / "config"
        found = _remote_of(config)
        wanted = None if remote is None else Path(os.path.abspath(remote))  # noqa: PTH100
        if found is not None:
            if wanted is not None and wanted != found:
                raise ConfigError(
                    f"{config} has a remote {REMOTE!r} at {found}, not at {wanted}: change it there first"
                )
            return cls(root, target, found)
        _add_remote(config, "../.dvc-remote" if wanted is None else str(wanted))
        if wanted is None:
            _ignore(root, "/.dvc-remote")
        return cls(root, target, wanted or root / ".dvc-remote")

    def track(self, name: str, out: Mapping[str, str | int], meta: Mapping[str, str]) -> None:
        """Write `<name>.dvc`, in one step, and tell Git to leave out the data that DVC will put beside it."""
        file = self.target / f"{name}.dvc"
        file.parent.mkdir(parents=True, exist_ok=True)
        _ignore(file.parent, f"/{file.stem}")
        lines = [
            "outs:",
            *(f"{'- ' if key == 'md5' else '  '}{key}: {value}" for key, value in out.items()),
            f"  path: {_quoted(file.stem)}",
            f"  remote: {REMOTE}",
            "meta:",
            "  dataplat:",
            *(f"    {key}: {_quoted(value)}" for key, value in meta.items()),
        ]
        _replace(file, "\n".join(lines) + "\n")

    def notes(self) -> list[str]:
        """Return what a user has to do before DVC runs there."""
        if any((folder / ".git").exists() for folder in (self.root, *self.root.parents)):
            return []
        return ["DVC wants a Git repository: run `git init` there, or `dvc config core.no_scm true`"]


def _remote_of(config: Path) -> Path | None:
    """Return the folder of the remote that an earlier export added."""
    if not config.exists():
        return None
    read = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        read.read_string("\n".join(line.strip() for line in config.read_text("utf-8").splitlines()))
    except configparser.Error as error:
        raise ConfigError(f"{config} cannot be read: {error}") from error
    url = read.get(_SECTION, "url", fallback=None)
    return None if url is None else Path(os.path.normpath(config.parent / url.strip("\"'")))


def _add_remote(config: Path, url: str) -> None:
    lines = f"[{_SECTION}]\n    url = {url if not set(url) & set(',#') else _quoted(url)}\n    verify = true\n"
    if not config.exists():
        config.parent.mkdir(parents=True, exist_ok=True)
        _replace(config.parent / ".gitignore", _IGNORED)
        _replace(config, f"[core]\n    remote = {REMOTE}\n{lines}")
        return
    text = config.read_text("utf-8")
    _replace(config, f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{lines}")


def _ignore(folder: Path, line: str) -> None:
    file = folder / ".gitignore"
    text = file.read_text("utf-8") if file.exists() else ""
    if line not in text.splitlines():
        folder.mkdir(parents=True, exist_ok=True)
        _replace(file, f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n")


def _quoted(text: str) -> str:
    """Return a text as YAML and DVC's configuration take it: JSON strings are both."""
    return json.dumps(text, ensure_ascii=False)


def _replace(file: Path, text: str) -> None:
    fresh = file.with_name(f".{file.name}.partial-{os.getpid()}")
    fresh.write_text(text, "utf-8")
    fresh.replace(file)
