"""Files of others on S3, GCS and HDFS, to be read: under any name, each read held to the state that was listed.

A lake's own keys are plain, and its objects never change. The files of others may have any name and may be written
anew at any moment, so what is read names the state it wants: by ETag, generation, or size and time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from dataplat.config import load
from dataplat.errors import ObjectExists, ObjectNotFound, StoreError, StoreTimeout
from dataplat.lake.stores._gcs import GcsWire
from dataplat.lake.stores._hdfs import HdfsWire
from dataplat.lake.stores._memory import MemoryStore
from dataplat.lake.stores._open import _parts, _warn_of_tls
from dataplat.lake.stores._retrying import RetryingStore
from dataplat.lake.stores._s3 import S3Wire
from dataplat.lake.stores._settings import SCHEMES, Settings, settings_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FarState:
    """A file as it was seen: its name, size in bytes, and the marks by which its store tells its states apart."""

    key: str
    size: int
    marks: Mapping[str, Any]


class FileChanged(StoreError):
    """A file is not in the state any more that was asked for."""


class _Files(Protocol):
    """One store's requests, each sent once."""

    def state(self, key: str) -> FarState:
        """Return a file's state."""
        ...

    def page(self, prefix: str, token: str | None) -> tuple[list[FarState], str | None]:
        """Return some of the files whose names begin with `prefix`, and what the next page is asked for by."""
        ...

    def get(self, state: FarState, start: int, stop: int) -> bytes | None:
        """Return bytes of a file in exactly this state; None where it is in another, or raise `ObjectExists` (412)."""
        ...


class FarFiles:
    """The files of one bucket or name node. Calls are tried again as those of a store are."""

    def __init__(self, scheme: str, authority: str, settings: Settings) -> None:
        self.url = f"{scheme}://{authority}"
        self._files = _KINDS[scheme](authority, settings)
        server = self.url + (f" at {settings['endpoint_url']}" if "endpoint_url" in settings else "")
        self._retrying = RetryingStore(MemoryStore(), settings.get("retry_budget", 60.0), server=server)

    def state(self, key: str) -> FarState:
        """Return a file's state; raise `ObjectNotFound`."""
        return self._tried(key, lambda: self._files.state(key))

    def below(self, prefix: str) -> Iterator[FarState]:
        """Yield the files whose names begin with `prefix`."""
        token: str | None = None
        while True:
            page, token = self._tried(prefix, lambda token=token: self._files.page(prefix, token))  # type: ignore[misc]
            yield from page
            if token is None:
                return

    def get(self, state: FarState, start: int, stop: int) -> bytes:
        """Return the bytes [start, stop) of a file; raise `FileChanged` unless it is in this state."""

        def once() -> bytes:
            try:
                data = self._files.get(state, start, stop)
            except ObjectExists as error:  # what 412 means where something is created
                raise FileChanged(f"{self.url}/{state.key} changed") from error
            if data is None:  # raised here: for a wire each error of the system is one to try again after
                raise FileChanged(f"{self.url}/{state.key} changed")
            if len(data) != stop - start:
                raise StoreTimeout(f"{len(data):,} of {stop - start:,} bytes came of {self.url}/{state.key}")
            return data

        return self._tried(state.key, once)

    def _tried(self, key: str, call: Callable[[], T]) -> T:
        return self._retrying.asked(key, call)


def far_files(url: str) -> tuple[FarFiles, str]:
    """Return the files of the bucket or name node of `url`, and the name that it gives there, as it stands.

    Raises:
        ConfigError: the URL is wrong or carries credentials, or a setting is wrong.
    """
    scheme, _, rest = url.partition("://")
    scheme = SCHEMES.get(scheme.lower(), scheme.lower())
    authority, _, key = rest.partition("/")
    _parts(scheme, f"{authority}/")
    settings = settings_of(f"{scheme}://{authority}/{key}", None, load())
    if not settings.get("verify_tls", True):
        _warn_of_tls(f"{scheme}://{authority}")
    return FarFiles(scheme, authority, settings), key


class _S3Files:
    def __init__(self, bucket: str, settings: Settings) -> None:
        self._bucket = bucket
        self._wire = S3Wire(bucket, "", settings)

    def state(self, key: str) -> FarState:
        async def request(client: Any) -> FarState:
            answer = await client.head_object(Bucket=self._bucket, Key=key)
            return FarState(key, int(answer["ContentLength"]), {"etag": answer["ETag"].strip('"')})

        return self._wire.call("read", key, request)

    def page(self, prefix: str, token: str | None) -> tuple[list[FarState], str | None]:
        async def request(client: Any) -> tuple[list[FarState], str | None]:
            more = {} if token is None else {"ContinuationToken": token}
            answer = await client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **more)
            found = [
                FarState(item["Key"], int(item["Size"]), {"etag": item["ETag"].strip('"')})
                for item in answer.get("Contents", ())
            ]
            return found, answer.get("NextContinuationToken") if answer.get("IsTruncated") else None

        return self._wire.call("list", prefix, request)

    def get(self, state: FarState, start: int, stop: int) -> bytes | None:
        tag = str(state.marks["etag"])

        async def request(client: Any) -> bytes | None:
            answer = await client.get_object(
                Bucket=self._bucket, Key=state.key, Range=f"bytes={start}-{stop - 1}", IfMatch=f'"{tag}"'
            )
            if answer["ETag"].strip('"') != tag:
                return None
            async with answer["Body"] as body:
                data: bytes = await body.read()
            return data

        return self._wire.call("read", state.key, request)


class _GcsFiles:
    _FIELDS = "name,size,generation,md5Hash,contentEncoding"

    def __init__(self, bucket: str, settings: Settings) -> None:
        self._bucket = bucket
        self._wire = GcsWire(bucket, "", settings)

    def state(self, key: str) -> FarState:
        async def request(send: Any) -> FarState:
            answer = await send("GET", self._wire.path(key), {"fields": self._FIELDS}, {})
            return self._state(json.loads(answer.body))

        return self._wire.call("read", key, request)

    def _state(self, item: Mapping[str, Any]) -> FarState:
        marks = {"generation": str(item["generation"])}
        marks |= {"md5": item["md5Hash"]} if item.get("md5Hash") else {}
        marks |= {"encoding": item["contentEncoding"]} if item.get("contentEncoding") else {}
        return FarState(item["name"], int(item["size"]), marks)

    def page(self, prefix: str, token: str | None) -> tuple[list[FarState], str | None]:
        asked = {"prefix": prefix, "fields": f"items({self._FIELDS}),nextPageToken", "maxResults": "1000"}
        asked |= {} if token is None else {"pageToken": token}

        async def request(send: Any) -> tuple[list[FarState], str | None]:
            from urllib.parse import quote

            answer = await send("GET", f"b/{quote(self._bucket, safe='')}/o", asked, {})
            listed = json.loads(answer.body)
            return [self._state(item) for item in listed.get("items", ())], listed.get("nextPageToken")

        return self._wire.call("list", prefix, request)

    def get(self, state: FarState, start: int, stop: int) -> bytes | None:
        if state.marks.get("encoding") == "gzip":  # the server would send it unpacked, and whole
            raise StoreError(
                f"gs://{self._bucket}/{state.key} is stored with `Content-Encoding: gzip`, which the server unpacks on "
                "the way: take that mark off it (`gcloud storage objects update --clear-content-encoding`)"
            )
        wanted = {"alt": "media", "ifGenerationMatch": str(state.marks["generation"])}
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}

        async def request(send: Any) -> bytes | None:
            answer = await send("GET", self._wire.path(state.key), wanted, headers)
            if answer.headers.get("X-Goog-Generation", wanted["ifGenerationMatch"]) != wanted["ifGenerationMatch"]:
                return None
            body: bytes = answer.body
            return body if answer.status == 206 else body[start:stop]

        return self._wire.call("read", state.key, request)


class _HdfsFiles:
    def __init__(self, host: str, settings: Settings) -> None:
        self._wire = HdfsWire(host, "", settings)

    def state(self, key: str) -> FarState:
        def work(step: Any, client: Any) -> FarState:
            status = step(client.get_file_info, f"/{key}")
            if status.isdir:
                raise FileNotFoundError(key)
            return FarState(key, status.length, {"mtime_ms": status.modification_time})

        return self._wire.call("read", key, work)

    def page(self, prefix: str, token: str | None) -> tuple[list[FarState], str | None]:
        folder = "/" + prefix.rpartition("/")[0]

        def work(step: Any, client: Any) -> list[FarState]:
            return [
                FarState(status.path.lstrip("/"), status.length, {"mtime_ms": status.modification_time})
                for status in step.each(client.list_status(folder, True))
                if not status.isdir
            ]

        try:
            found = self._wire.call("list", folder[1:], work)
        except ObjectNotFound:
            return [], None
        return [state for state in found if state.key.startswith(prefix)], None

    def get(self, state: FarState, start: int, stop: int) -> bytes | None:
        path = f"/{state.key}"

        def work(step: Any, client: Any) -> bytes | None:
            reader = step(client.read, path)
            data = b"".join(step.each(reader.read_range_stream(start, stop - start))) if len(reader) >= stop else b""
            status = step(client.get_file_info, path)  # HDFS knows no conditional read: looked at behind each
            if (status.length, status.modification_time) != (state.size, state.marks["mtime_ms"]):
                return None
            return data

        return self._wire.call("read", state.key, work)


_KINDS: dict[str, Callable[[str, Settings], _Files]] = {"gs": _GcsFiles, "hdfs": _HdfsFiles, "s3": _S3Files}

__all__ = ["FarFiles", "FarState", "FileChanged", "far_files"]
