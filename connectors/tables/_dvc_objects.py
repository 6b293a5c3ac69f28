"""Where DVC keeps bytes: its cache, and remotes that are folders or that fsspec opens."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dataplat.connectors.tables._dvc_files import Config, Out
from dataplat.errors import MissingExtra, SourceError, SourceNotFound

_S3 = {"access_key_id": "key", "secret_access_key": "secret", "session_token": "token", "profile": "profile"}


@dataclass(frozen=True, slots=True)
class DvcObjects:
    """The objects of a DVC repository; `home` is its `.dvc` folder where it is checked out on this machine."""

    config: Config
    home: Path | None
    repository: str

    def fetch(self, out: Out, md5: str, target: Path) -> None:
        """Bring the object to `target`, and check it.

        Raises:
            SourceNotFound: No cache and no remote has it.
            SourceError: Its bytes are others.
        """
        tried = []
        for place in self._places(out):
            tried.append(place)
            if _bring(f"{place}/{md5[:2]}/{md5[2:]}", self._options(place), target):
                if not out.legacy or out.is_folder:
                    _check(target, md5, place)
                return
        looked = f"looked in {', '.join(tried)}" if tried else "it names no remote that can be read from here"
        raise SourceNotFound(
            f"{out.path} of {self.repository}: no object {md5} ({looked}); `dvc fetch` or `dvc push` it there first"
        )

    def _places(self, out: Out) -> Iterator[str]:
        below = "" if out.legacy else "/files/md5"
        if self.home is not None:
            cache = self.home / (self.config.cache or "cache")
            yield f"{cache}{below}"
        for name in self.config.order(out.remote):
            url = self.config.remotes[name].get("url", "").rstrip("/")
            if "://" in url or Path(url).is_absolute():
                yield f"{url}{below}"
            elif url and self.home is not None:
                yield f"{self.home / url}{below}"

    def _options(self, place: str) -> dict[str, object]:
        """Return what a remote's settings are called by fsspec; only S3 has some that are in common use."""
        for remote in self.config.remotes.values():
            if place.startswith("s3://") and place.startswith(remote.get("url", "\0").rstrip("/")):
                options: dict[str, object] = {_S3[key]: value for key, value in remote.items() if key in _S3}
                if endpoint := remote.get("endpointurl"):
                    options["client_kwargs"] = {"endpoint_url": endpoint}
                return options
        return {}


def _bring(place: str, options: dict[str, object], target: Path) -> bool:
    """Copy a file, or fetch it by fsspec; return whether it was there."""
    if "://" not in place:
        if not Path(place).is_file():
            return False
        shutil.copyfile(place, target)
        return True
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(place, **options)
        system.get_file(path, str(target))
    except FileNotFoundError:
        return False
    except ImportError as error:
        raise MissingExtra(
            f"{place} needs another package: {error}. Or run `dvc fetch` there: its cache is read"
        ) from error
    except OSError as error:
        raise SourceError(f"{place} cannot be read: {error}") from error
    return True


def _check(file: Path, md5: str, place: str) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5.removesuffix(".dir"):
        raise SourceError(f"object {md5} in {place} is damaged: its MD5 is {found}. Nothing was taken from it")
