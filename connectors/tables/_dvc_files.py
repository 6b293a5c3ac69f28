"""What DVC's own files say: which data a `.dvc` file or `dvc.lock` tracks, and where a remote is."""

from __future__ import annotations

import configparser
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dataplat.errors import MissingExtra, SourceError


@dataclass(frozen=True, slots=True)
class Out:
    """Data that DVC tracks: at `path` in the repository, `md5` (with `.dir` of a folder) of it.

    `legacy` is the layout of DVC 2, whose MD5 of a text is that with Unix line ends. `remote` is one of its own.
    """

    path: str
    md5: str
    legacy: bool = False
    remote: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.md5.endswith(".dir")


def outs_of(file: str, text: str, pipeline: str | None = None) -> Iterator[Out]:
    """Yield what a `.dvc` file, or a `dvc.lock` (with the `dvc.yaml` beside it), tracks."""
    told = _yaml(file, text)
    if posixpath.basename(file) != "dvc.lock":
        yield from _outs(file, told.get("wdir") or ".", told.get("outs"))
        return
    stages = _yaml(file, pipeline).get("stages") if pipeline is not None else {}
    for name, stage in (told.get("stages") or {}).items():
        known = (stages or {}).get(name)
        wdir = known.get("wdir") if isinstance(known, dict) else None
        yield from _outs(file, wdir or ".", stage.get("outs"))


def _outs(file: str, wdir: str, outs: list[dict[str, Any]] | None) -> Iterator[Out]:
    for out in outs or []:
        if "md5" in out and "path" in out:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(file), wdir, out["path"]))
            yield Out(path, str(out["md5"]), out.get("hash") != "md5", out.get("remote"))


def _yaml(file: str, text: str) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("what DVC tracks needs PyYAML: pip install 'dataplat[dvc]'") from error
    try:
        told = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SourceError(f"{file} is no YAML: {error}") from error
    if not isinstance(told, dict):
        raise SourceError(f"{file} is no file of DVC's")
    return told


@dataclass(frozen=True, slots=True)
class Config:
    """DVC's configuration: the default remote, remotes by name, and the folder of the cache where one is set."""

    default: str | None
    remotes: Mapping[str, Mapping[str, str]]
    cache: str | None = None

    @classmethod
    def read(cls, *texts: str | None) -> Config:
        """Read configurations, later ones winning."""
        read = configparser.ConfigParser(interpolation=None, strict=False)
        for text in texts:
            if text is not None:
                try:
                    read.read_string("\n".join(line.strip() for line in text.splitlines()))
                except configparser.Error as error:
                    raise SourceError(f"DVC's configuration cannot be read: {error}") from error
        remotes = {}
        for section in read.sections():
            if section.startswith("'remote \""):
                name = section.removeprefix("'remote \"").removesuffix("\"'")
                remotes[name] = {key: value.strip("\"'") for key, value in read[section].items()}
        return cls(read.get("core", "remote", fallback=None), remotes, read.get("cache", "dir", fallback=None))

    def order(self, wanted: str | None) -> list[str]:
        """Return the names of remotes, the likeliest first."""
        names = (wanted, self.default, *self.remotes)
        return list(dict.fromkeys(name for name in names if name is not None and name in self.remotes))
