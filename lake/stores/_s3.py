"""Objects in an S3 bucket: sessions and credentials by s3fs, each request sent once through its own client.

`PutObject` and `CompleteMultipartUpload` with `If-None-Match: *` create a name atomically; 412 means that it exists,
409 that another create of the same name was under way, and that ours may be sent again (Amazon S3 User Guide,
"Add preconditions to S3 operations").
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

from dataplat.config import Secret
from dataplat.errors import ConfigError, MissingExtra, ObjectExists, ObjectNotFound, StoreError, StoreTimeout
from dataplat.lake.stores._patience import moving, sliced
from dataplat.lake.stores._protocol import ObjectInfo
from dataplat.lake.stores._remote import Got
from dataplat.lake.stores._tls import mistrust

if TYPE_CHECKING:
    from s3fs import S3FileSystem

T = TypeVar("T")

MULTIPART = 64 << 20
"""Bytes above which an object goes up in parts, several at once."""
PART = 16 << 20
UPLOADS = 4
"""Parts of one object that are under way at once."""
ANNOUNCED = 1 << 20
"""Bytes above which a body waits until the server has seen its headers, and so does not go up to be refused."""

_GONE = frozenset({"404", "NoSuchKey", "NotFound"})
_UNCLEAR = frozenset(
    {
        "BadDigest",
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "XAmzContentSHA256Mismatch",
        "XAmzContentChecksumMismatch",
    }
)
"""Codes after which the same request may be sent again; whether it took effect is not known."""
_UNCLEAR_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})
_ADVICE = {
    "AccessDenied": "access denied: these credentials may not do that there",
    "403": "access denied: these credentials may not do that there",
    "ExpiredToken": "the credentials have expired: get new ones",
    "InvalidAccessKeyId": "the server does not know this access key",
    "NoSuchBucket": "there is no such bucket: create it, or correct the URL",
    "PermanentRedirect": "the bucket is in another region: set `region`",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set `region`",
    "XAdminUserNotFound": "the server does not know this access key",
    "SignatureDoesNotMatch": "the secret does not belong to the access key",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
}


class S3Wire:
    """Requests to one bucket. `settings` are those of `docs/stores.md`; secrets in them are revealed when needed."""

    clock_step = 1_000_000

    def __init__(self, bucket: str, prefix: str, settings: Mapping[str, Any]) -> None:
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = bucket
        self._root = f"{prefix}/" if prefix else ""
        self._settings = settings
        self._mine: tuple[int, S3FileSystem] | None = None
        _library()  # takes seconds on a busy machine, which are not the server's
        self._stored = {
            name: settings[ours]
            for ours, name in (
                ("server_side_encryption", "ServerSideEncryption"),
                ("kms_key", "SSEKMSKeyId"),
                ("storage_class", "StorageClass"),
            )
            if ours in settings
        }

    def get(self, key: str, start: int, stop: int) -> Got:
        """Return the bytes [start, stop) of `key`, fewer where it ends."""

        async def request(client: Any) -> Got:
            answer = await client.get_object(
                Bucket=self._bucket, Key=self._root + key, Range=f"bytes={start}-{stop - 1}"
            )
            async with answer["Body"] as body:
                data = await body.read()
            size = int(answer["ContentRange"].rpartition("/")[2]) if "ContentRange" in answer else len(data)
            return Got(data, size)

        try:
            return self.call("read", key, request)
        except _PastTheEnd:
            return Got(b"", 0)

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Create `key` if it is absent; the server checks the SHA-256 of what arrives."""
        if len(data) > MULTIPART:
            self.call("create", key, lambda client: self._put_parts(client, self._root + key, memoryview(data)))
            return
        checksum = _sha256(data)

        async def request(client: Any) -> None:
            client.meta.events.register_last(
                "before-call.s3", _unannounced, "dataplat-unannounced", unique_id_uses_count=False
            )
            await client.put_object(
                Bucket=self._bucket,
                Key=self._root + key,
                Body=data,
                IfNoneMatch="*",
                ChecksumSHA256=checksum,
                **self._stored,
            )

        self.call("create", key, request)

    async def _put_parts(self, client: Any, key: str, data: memoryview) -> None:
        import asyncio

        where = {"Bucket": self._bucket, "Key": key}
        upload = await client.create_multipart_upload(**where, ChecksumAlgorithm="SHA256", **self._stored)
        where["UploadId"] = upload["UploadId"]
        free = asyncio.Semaphore(UPLOADS)

        async def send(number: int, piece: memoryview) -> dict[str, Any]:
            async with free:
                checksum = await asyncio.to_thread(_sha256, piece)
                answer = await client.upload_part(
                    **where, PartNumber=number, Body=bytes(piece), ChecksumSHA256=checksum
                )
            return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

        pieces = [data[at : at + PART] for at in range(0, len(data), PART)]
        sending = [asyncio.ensure_future(send(number, piece)) for number, piece in enumerate(pieces, 1)]
        try:
            parts = await asyncio.gather(*sending)
            await client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
        except BaseException:
            for task in sending:
                task.cancel()
            with suppress(Exception):  # what stays is removed by the bucket's rule for unfinished uploads
                await client.abort_multipart_upload(**where)
            raise

    def page(self, prefix: str, after: str | None, limit: int) -> Sequence[ObjectInfo]:
        """Return at most `limit` of the first names that begin with `prefix` and sort after `after`."""

        async def request(client: Any) -> list[ObjectInfo]:
            found: list[ObjectInfo] = []
            more = {} if after is None else {"StartAfter": self._root + after}
            cut = len(self._root)
            while len(found) < limit:  # a page may be shorter than it could be
                answer = await client.list_objects_v2(
                    Bucket=self._bucket, Prefix=self._root + prefix, MaxKeys=limit - len(found), **more
                )
                found += [
                    ObjectInfo(entry["Key"][cut:], entry["Size"], int(entry["LastModified"].timestamp() * 1e6))
                    for entry in answer.get("Contents", ())
                ]
                if not answer.get("IsTruncated"):
                    break
                more = {"ContinuationToken": answer["NextContinuationToken"]}
            return found

        return self.call("list", prefix, request)

    def remove(self, key: str) -> None:
        """Delete `key`; it is no error if it is absent."""

        async def request(client: Any) -> None:
            await client.delete_object(Bucket=self._bucket, Key=self._root + key)

        with suppress(ObjectNotFound):
            self.call("delete", key, request)

    def call(self, doing: str, key: str, request: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Send what `request` asks of the client, once; raise what a failure means as an error of ours.

        For requests that are no store's, too: `doing` is what a refusal says, `key` where. Raises `ObjectNotFound`,
        `ObjectExists` (412), `StoreTimeout` (unclear), `StoreError` or `ConfigError`.
        """
        from fsspec.asyn import sync

        fs = self._session()

        async def call() -> T:
            await fs.set_session()
            return await request(await fs.get_s3(self._bucket))

        try:
            answer: T = sync(fs.loop, call)
        except Exception as error:
            raise self._explained(error, doing, key) from error
        return answer

    def _session(self) -> S3FileSystem:
        pid = os.getpid()
        if self._mine is None or self._mine[0] != pid:
            self._mine = pid, _session(self._settings)
        return self._mine[1]

    def _explained(self, error: Exception, doing: str, key: str) -> Exception:
        """Return what a failed request means: an error of ours, which says what was being done, where, and why not."""
        from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError, ProfileNotFound

        what = f"{doing} {self.url}/{key}"
        if isinstance(error, ClientError):
            return _answered(error, what)
        if isinstance(error, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
            return ConfigError(
                f"cannot {what}: {error}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role"
            )
        if (reason := mistrust(error, "`ca_bundle` (or AWS_CA_BUNDLE)")) is not None:
            return StoreError(f"cannot {what}: {reason}")
        if _is_unanswered(error):
            return StoreTimeout(f"no answer to {what}: {str(error) or type(error).__name__}{_root(error)}")
        return error if isinstance(error, StoreError | ConfigError) else StoreError(f"cannot {what}: {error}")


def _unannounced(params: dict[str, Any], **_: Any) -> None:
    """Send a small body with its headers: to ask first whether it may come (100-continue) doubles the round trips."""
    if _content_length(params.get("body", b"")) <= ANNOUNCED:
        params["headers"].pop("Expect", None)


class _PastTheEnd(Exception):
    """A range begins at or behind the end of the object."""


def _answered(error: Any, what: str) -> Exception:
    answer = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "404" and error.operation_name != "HeadObject":  # whose answer has no body; any other names its reason
        return StoreError(f"cannot {what}: what answers there is no S3: correct `endpoint_url`, or AWS_ENDPOINT_URL_S3")
    if code in _GONE:
        return ObjectNotFound(f"cannot {what}: there is no such object")
    if status == 412:
        return ObjectExists(f"cannot {what}: it exists already")
    if status == 416:
        return _PastTheEnd(what)
    if code in _UNCLEAR or status in _UNCLEAR_STATUS:
        return StoreTimeout(f"no clear answer to {what}: {status} {code}")
    return StoreError(f"cannot {what}: {_ADVICE.get(code) or error}")


def _root(error: BaseException) -> str:
    """Return what the system said at the bottom of a failure: that the connection was refused, that no host is so named."""
    cause: BaseException | None = error
    found = ""
    while cause is not None:
        if isinstance(cause, OSError) and (cause.errno or 0) > 0:
            found = f" ({os.strerror(cause.errno or 0)})"
        elif isinstance(cause, OSError) and cause.strerror:  # of a name that no server knows
            found = f" ({cause.strerror})"
        cause = cause.__cause__ or cause.__context__
    return found


def _is_unanswered(error: Exception) -> bool:
    """Whether the request may have arrived and its answer did not."""
    import asyncio

    import aiohttp
    from botocore.exceptions import (
        ConnectionError as BotocoreConnectionError,
    )
    from botocore.exceptions import (
        FlexibleChecksumError,
        HTTPClientError,
        IncompleteReadError,
        ResponseStreamingError,
    )
    from fsspec.exceptions import FSTimeoutError

    lost: tuple[type[Exception], ...] = (
        aiohttp.ClientError,
        asyncio.TimeoutError,
        BotocoreConnectionError,
        ConnectionError,
        FlexibleChecksumError,
        FSTimeoutError,
        HTTPClientError,
        IncompleteReadError,
        OSError,
        ResponseStreamingError,
    )
    return isinstance(error, lost)


_sessions: dict[tuple[Any, ...], S3FileSystem] = {}
_connecting = threading.Lock()


def _session(settings: Mapping[str, Any]) -> S3FileSystem:
    """Return the process's session with these settings; a forked child must not share its parent's connections.

    What the environment says of AWS, and what references name, belongs to them: who sets a key after a failure, or
    another one, is not to be answered with the old one.
    """
    chain = sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))
    given = sorted((name, value.reveal() if isinstance(value, Secret) else value) for name, value in settings.items())
    key = os.getpid(), hashlib.sha256(repr((chain, given)).encode()).digest()
    with _connecting:
        if key not in _sessions:
            _sessions[key] = _connect(settings)
        return _sessions[key]


def _library() -> Any:
    try:
        from s3fs import S3FileSystem
    except ModuleNotFoundError as error:
        raise MissingExtra("lakes on S3 need s3fs: pip install 'dataplat[s3]'") from error
    return S3FileSystem


def _connect(settings: Mapping[str, Any]) -> S3FileSystem:
    timeout = float(settings.get("timeout", 30))
    secret = {name: settings[name].reveal() for name in ("key", "secret", "token") if name in settings}
    region = {"region_name": settings["region"]} if "region" in settings else {}
    verify = settings.get("ca_bundle") or settings.get("verify_tls", True)
    return _library()(
        **secret,
        anon=bool(settings.get("anonymous", False)),
        endpoint_url=settings.get("endpoint_url"),
        profile=settings.get("profile"),
        client_kwargs=region if verify is True else region | {"verify": verify},
        config_kwargs={
            "retries": {"total_max_attempts": 1},  # RetryingStore tries again, and settles what is unclear
            "connect_timeout": min(timeout, 10),
            "read_timeout": timeout,
            "max_pool_connections": 64,
            "http_session_cls": _once(),
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )


def _once() -> type[Any]:
    """Return aiobotocore's session, made to send each request once, and to end it where its body does not move."""
    from aiobotocore.httpsession import AIOHTTPSession

    class Once(AIOHTTPSession):  # type: ignore[misc, unused-ignore]
        async def _get_session(self, proxy_url: Any) -> Any:
            session = await super()._get_session(proxy_url)
            session._retry_connection = False  # noqa: SLF001 - aiohttp sends a PUT again whose answer was lost
            return session

        async def send(self, request: Any) -> Any:
            if not isinstance(request.body, BytesIO):  # what else botocore sends is short
                return await super().send(request)
            seconds = float(self._timeout.sock_read)
            async with moving(seconds) as watch:
                request.body = sliced((request.body.getvalue(),), watch, seconds)
                return await super().send(request)

    return Once


def _content_length(body: Any) -> int:
    from botocore.utils import determine_content_length

    return int(determine_content_length(body) or 0)


def _sha256(data: bytes | memoryview) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


__all__ = ["S3Wire"]
