"""Objects in a GCS bucket: session and credentials by gcsfs, each request of the JSON interface sent once.

An upload with `ifGenerationMatch=0` creates a name atomically, and 412 means that it exists; it holds for the whole of
a resumable upload too (Google Cloud Storage, "Request preconditions" and "Resumable uploads").
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote

from dataplat.errors import ConfigError, MissingExtra, ObjectExists, ObjectNotFound, StoreError, StoreTimeout
from dataplat.lake.stores._patience import moving, sliced
from dataplat.lake.stores._protocol import ObjectInfo
from dataplat.lake.stores._remote import Got
from dataplat.lake.stores._tls import mistrust

if TYPE_CHECKING:
    from gcsfs import GCSFileSystem

T = TypeVar("T")

RESUMABLE = 64 << 20
"""Bytes above which an object goes up in chunks, so that no single request is very long."""
CHUNK = 16 << 20
"""A multiple of 256 KiB, as the interface demands."""

_UNCLEAR = frozenset({408, 409, 429, 500, 502, 503, 504})
_UNCLEAR_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "backendError", "internalError"})
_ADVICE = {
    401: "the credentials are missing, wrong or expired: set GOOGLE_APPLICATION_CREDENTIALS, or `credentials`",
    403: "access denied: these credentials may not do that there",
}


class _Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: bytes) -> None:
        said: Any = None
        with suppress(ValueError, TypeError, KeyError):  # another's, of a proxy on the way
            said = json.loads(body)["error"]
        details = said if isinstance(said, dict) else {}
        self.status = status
        self.reasons = {str(each.get("reason")) for each in details.get("errors") or () if isinstance(each, dict)}
        self.message = str(details.get("message") or said or body[:200].decode(errors="replace")).strip()
        super().__init__(f"{status} {self.message}")


class _DamagedError(Exception):
    """The bytes that arrived are not those that are stored."""


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class GcsWire:
    """Requests to one bucket. `settings` are those of `docs/stores.md`; secrets in them are revealed when needed."""

    clock_step = 1000

    def __init__(self, bucket: str, prefix: str, settings: Mapping[str, Any]) -> None:
        self.url = f"gs://{bucket}/{prefix}".rstrip("/")
        self._bucket = quote(bucket, safe="")
        self._root = f"{prefix}/" if prefix else ""
        self._settings = settings
        self._lock = threading.Lock()
        self._open: tuple[int, GCSFileSystem] | None = None
        _library()  # takes seconds on a busy machine, which are not the server's
        self._stored = {"storageClass": settings["storage_class"]} if "storage_class" in settings else {}
        self._once = {"ifGenerationMatch": "0"}
        if "kms_key" in settings:
            self._once["kmsKeyName"] = settings["kms_key"]

    def get(self, key: str, start: int, stop: int) -> Got:
        """Return the bytes [start, stop) of `key`, fewer where it ends; a whole object is held against its CRC-32C."""
        ranged = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}

        async def request(send: _Send) -> Got:
            answer = await send("GET", self.path(key), {"alt": "media"}, ranged)
            if answer.status != 206:  # the whole, whatever range was asked for
                return Got(_checked(answer)[start:stop], len(answer.body))
            size = int(answer.headers["Content-Range"].rpartition("/")[2])
            return Got(_checked(answer) if len(answer.body) == size else answer.body, size)

        try:
            return self.call("read", key, request)
        except _PastTheEnd:
            return Got(b"", 0)

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Create `key` if it is absent; the server checks the CRC-32C of what arrives."""
        about = {"name": self._root + key, "crc32c": _crc32c(data), **self._stored}
        described = json.dumps({"contentType": "application/octet-stream", **about}).encode()
        if len(data) > RESUMABLE:
            self.call("create", key, lambda send: self._put_chunks(send, described, memoryview(data)))
            return
        mark = os.urandom(16).hex()
        head = f"--{mark}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode() + described
        head += f"\r\n--{mark}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
        pieces = (head, data, f"\r\n--{mark}--\r\n".encode())

        async def request(send: _Send) -> None:
            kind = {"Content-Type": f"multipart/related; boundary={mark}"}
            await send("POST", self._uploads(), {"uploadType": "multipart", **self._once}, kind, pieces)

        self.call("create", key, request)

    async def _put_chunks(self, send: _Send, described: bytes, data: memoryview) -> None:
        """Send `data` in chunks; where the answer to one is lost, the whole is unclear and the upload is given up."""
        size = len(data)
        kind = {"Content-Type": "application/json; charset=UTF-8", "X-Upload-Content-Length": str(size)}
        begun = await send("POST", self._uploads(), {"uploadType": "resumable", **self._once}, kind, (described,))
        session = begun.headers["Location"]
        try:
            at = 0
            while at < size:
                chunk = data[at : at + CHUNK]
                span = {"Content-Range": f"bytes {at}-{at + len(chunk) - 1}/{size}"}
                answer = await send("PUT", session, {}, span, (chunk,))
                if answer.status != 308:
                    return
                kept = int(answer.headers.get("Range", "bytes=0--1").partition("-")[2]) + 1
                if kept <= at:
                    raise StoreTimeout(f"the server kept nothing of a chunk of {len(chunk):,} bytes")
                at = kept
            raise StoreTimeout("the server has all bytes and asks for more")
        except BaseException:
            with suppress(Exception):  # else it is forgotten within a week
                await send("DELETE", session, {}, {})
            raise

    def page(self, prefix: str, after: str | None, limit: int) -> Sequence[ObjectInfo]:
        """Return at most `limit` of the first names that begin with `prefix` and sort after `after`."""
        asked = {"prefix": self._root + prefix, "fields": "items(name,size,timeCreated),nextPageToken"}
        if after is not None:
            asked["startOffset"] = (
                f"{self._root}{after} "  # it is inclusive; a space sorts first of what a key may hold
            )

        async def request(send: _Send) -> list[ObjectInfo]:
            found: list[ObjectInfo] = []
            token: dict[str, str] = {}
            while len(found) < limit:  # a page may be shorter than it could be
                answer = await send(
                    "GET", f"b/{self._bucket}/o", {**asked, **token, "maxResults": str(limit - len(found))}, {}
                )
                listed = json.loads(answer.body)
                found += [self._entry(item) for item in listed.get("items", ())]
                if "nextPageToken" not in listed:
                    break
                token = {"pageToken": listed["nextPageToken"]}
            return found

        return self.call("list", prefix, request)

    def _entry(self, item: Mapping[str, Any]) -> ObjectInfo:
        from datetime import datetime

        created = datetime.fromisoformat(item["timeCreated"])
        return ObjectInfo(item["name"][len(self._root) :], int(item["size"]), int(created.timestamp() * 1e6))

    def remove(self, key: str) -> None:
        """Delete `key`; it is no error if it is absent."""

        async def request(send: _Send) -> None:
            await send("DELETE", self.path(key), {}, {})

        with suppress(ObjectNotFound):
            self.call("delete", key, request)

    def path(self, key: str) -> str:
        """Return the path of an object in the JSON interface."""
        return f"b/{self._bucket}/o/{quote(self._root + key, safe='')}"

    def _uploads(self) -> str:
        return f"/upload/storage/v1/b/{self._bucket}/o"

    def call(self, doing: str, key: str, request: Callable[[_Send], Coroutine[Any, Any, T]]) -> T:
        """Run what sends requests by `send`, each once; raise what a failure means as an error of ours.

        For requests that are no store's, too: `doing` is what a refusal says, `key` where. Raises `ObjectNotFound`,
        `ObjectExists` (412), `StoreTimeout` (unclear), `StoreError` or `ConfigError`.
        """
        from fsspec.asyn import sync

        try:
            send = _Send(self._filesystem())
            answer: T = sync(send.files.loop, request, send)
        except Exception as error:
            raise self._explained(error, doing, key) from error
        return answer

    def _filesystem(self) -> GCSFileSystem:
        """Return this process's session: a forked child must not share its parent's connections."""
        pid = os.getpid()
        with self._lock:
            if self._open is None or self._open[0] != pid:
                self._open = pid, _connect(self._settings)
            return self._open[1]

    def _explained(self, error: Exception, doing: str, key: str) -> Exception:
        """Return what a failed request means: an error of ours, which says what was being done, where, and why not."""
        from google.auth.exceptions import GoogleAuthError, TransportError

        what = f"{doing} {self.url}/{key}"
        if isinstance(error, _Refused):
            return _answered(error, doing, what)
        if (reason := mistrust(error, "SSL_CERT_FILE")) is not None:
            return StoreError(f"cannot {what}: {reason}")
        if isinstance(error, StoreTimeout) or _is_unanswered(error) or isinstance(error, TransportError):
            return StoreTimeout(f"no answer to {what}: {str(error) or type(error).__name__}")
        if isinstance(error, GoogleAuthError):
            return ConfigError(f"cannot {what}: no credentials that Google takes: {error}")
        return error if isinstance(error, StoreError | ConfigError) else StoreError(f"cannot {what}: {error}")


class _Send:
    """Requests of one process's session, with its credentials, each sent once."""

    def __init__(self, files: GCSFileSystem) -> None:
        self.files = files

    async def __call__(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        pieces: Sequence[bytes | memoryview] = (),
    ) -> _Answer:
        """Return the answer to one request for `path` (of the interface, of its host, or a whole URL)."""
        from yarl import URL

        session = await self.files._set_session()  # noqa: SLF001 - its public methods try again by themselves
        session._retry_connection = False  # noqa: SLF001 - aiohttp sends a PUT again where a connection was reset
        place = path if path.startswith("http") else None
        place = place or (f"{self.files._location}{path}" if path[0] == "/" else f"{self.files.base}{path}")  # noqa: SLF001
        sent = sum(map(len, pieces))
        size = {"Content-Length": str(sent)} if pieces else {}
        given = self.files.requests_timeout
        async with (
            moving(given.sock_read) if pieces else nullcontext() as watch,
            session.request(
                method,
                URL(place, encoded=True),
                params=self.files._get_params(params),  # noqa: SLF001
                headers=self.files._get_headers({**headers, **size}),  # noqa: SLF001
                data=None if watch is None else sliced(pieces, watch, given.sock_read),
                timeout=given,
                allow_redirects=False,
            ) as answer,
        ):
            body = await answer.read()
            if answer.status >= 400:
                raise _Refused(answer.status, body)
            return _Answer(answer.status, answer.headers, body)


class _PastTheEnd(Exception):
    """A range begins at or behind the end of the object."""


def _answered(error: _Refused, doing: str, what: str) -> Exception:
    bucket = doing in {"create", "list"} or ("bucket" in error.message and "not exist" in error.message)
    if error.status == 404 and bucket:
        return StoreError(f"cannot {what}: there is no such bucket: create it, or correct the URL")
    if error.status == 404:
        return ObjectNotFound(f"cannot {what}: there is no such object")
    if error.status == 412:
        return ObjectExists(f"cannot {what}: it exists already")
    if error.status == 416:
        return _PastTheEnd(what)
    damaged = error.status == 400 and "crc32c" in error.message.lower()
    if damaged or error.status in _UNCLEAR or error.reasons & _UNCLEAR_REASONS:
        return StoreTimeout(f"no clear answer to {what}: {error}")
    return StoreError(f"cannot {what}: {_ADVICE.get(error.status) or error} ({error.message})")


def _is_unanswered(error: Exception) -> bool:
    """Whether the request may have arrived and its answer did not, or not whole."""
    import asyncio

    import aiohttp
    from fsspec.exceptions import FSTimeoutError

    lost = (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError, FSTimeoutError, OSError, _DamagedError)
    return isinstance(error, lost)


def _library() -> Any:
    try:
        # The core one: that of the package asks a second service what kind of bucket it is before anything else.
        from gcsfs.core import GCSFileSystem
    except ModuleNotFoundError as error:
        raise MissingExtra("lakes on GCS need gcsfs: pip install 'dataplat[gcs]'") from error
    return GCSFileSystem


def _connect(settings: Mapping[str, Any]) -> GCSFileSystem:
    import aiohttp

    timeout = float(settings.get("timeout", 30))
    project = {"project": settings["project"]} if "project" in settings else {}
    try:
        return _library()(
            **project,
            token=_credentials(settings),
            access="read_write",
            endpoint_url=settings.get("endpoint_url"),
            requests_timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(timeout, 10), sock_read=timeout),
            use_listings_cache=False,
            skip_instance_cache=True,
        )
    except KeyError as error:
        raise ConfigError(f"`credentials` is no key that Google issued: it lacks {error}") from None
    except ValueError as error:  # another project than that of the credentials
        raise ConfigError(f"Google's credentials do not fit: {error}") from error


def _credentials(settings: Mapping[str, Any]) -> Any:
    """Return what gcsfs takes: given ones, none for public data and emulators, else Google's own chain."""
    if settings.get("anonymous", False):
        return "anon"
    if "credentials" in settings:
        try:
            key = json.loads(settings["credentials"].reveal())
        except ValueError:
            key = None
        if not isinstance(key, dict):  # what it is instead is not shown
            raise ConfigError("`credentials` is not the JSON of a key that Google issued")
        return key
    if os.environ.get("STORAGE_EMULATOR_HOST") and "GOOGLE_APPLICATION_CREDENTIALS" not in os.environ:
        return "anon"  # as Google's own clients do
    return "google_default"


def _checked(answer: _Answer) -> bytes:
    """Return the body of an answer that is a whole object, held against what the server says of it."""
    hashes = answer.headers.get("X-Goog-Hash", "")  # several headers, or several values in one
    told = [part.strip()[7:] for part in hashes.split(",") if part.strip().startswith("crc32c=")]
    if told and _crc32c(answer.body) != told[0]:
        raise _DamagedError("the bytes that came are not those of which the server told the checksum")
    return answer.body


def _crc32c(data: bytes | memoryview) -> str:
    from google_crc32c import value

    return base64.b64encode(value(bytes(data) if isinstance(data, memoryview) else data).to_bytes(4, "big")).decode()


__all__ = ["GcsWire"]
