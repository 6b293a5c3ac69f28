"""Asks a feature server (`dataplat serve`): the same values, types and errors as `FeatureStore.lookup`, by HTTP.

What is said and understood is in `_Talk`, which does no input or output; the two clients only move what it gives them.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from dataplat._features._exchange import Answered, Lost, T, Talk, Talking
from dataplat._features._fetched import Fetched
from dataplat.errors import MissingExtra

if TYPE_CHECKING:
    import httpx

Rows: TypeAlias = "Sequence[Mapping[str, Any]] | Any"
"""Rows to push: mappings, or an Arrow table."""
_KEPT: Final = 60.0
"""Seconds that an idle connection is kept: less than the server keeps it, so that none is used as it is closed."""


class FeatureClient:
    """Asks a feature server, over connections that are kept.

        with dp.FeatureClient("http://127.0.0.1:8080", key="env:DELAY_MODEL_KEY") as client:
            found = client.lookup("delay_model", {"airport": ["JFK"], "carrier": ["AA"], "distance": [2475.0]})
            found.to_dict()

    Safe to use from threads. Lookups are tried again where a connection is lost or the server is busy; so are pushes, which
    count once.

    Args:
        url: where the server listens.
        key: where the API key lies: `env:NAME` or `file:PATH`.
        timeout: seconds for an answer, the tries together.
        retries: how often something is tried again.
        pool: connections at most.

    Raises:
        MissingExtra: httpx is not installed (`pip install 'dataplat[serving]'`).
    """

    def __init__(
        self, url: str, *, key: str | None = None, timeout: float = 5.0, retries: int = 3, pool: int = 32
    ) -> None:
        self._talk = Talk(url, key, timeout, retries)
        self._http: httpx.Client = _httpx().Client(**_options(url, timeout, pool))

    def lookup(
        self,
        service: str,
        entities: Mapping[str, Sequence[Any]],
        *,
        statuses: bool = False,
        ages: bool = False,
        closure: str | None = None,
    ) -> Fetched:
        """Return the features of entities, now.

        Args:
            service: `name`, or `name@version`.
            entities: columns of keys, and of the request.
            statuses: whether to ask for the status of each cell.
            ages: whether to ask for the age of the row that it is of.
            closure: the hash that a model was trained under.

        Raises:
            ClosureMismatch: The service has another closure: a definition changed since.
            SchemaError: A column is missing, unknown, or holds a value of another type.
            FeatureNotFound: There is no such service.
            NotMaterialized: It has no snapshot yet.
            FeatureServerError: The server did not answer, or is too busy.
        """
        return self._run(self._talk.lookup(service, entities, statuses=statuses, ages=ages, closure=closure))

    def push(self, view: str, rows: Rows, *, idempotency: str | None = None) -> dict[str, Any]:
        """Push rows of a view, and return what the server says of them, once they are durable and served.

        Raises:
            SchemaError: They do not fit; none was taken.
            FeatureNotFound: There is no such view.
            FeatureServerError: The server did not answer, or is too busy: they may have been taken. Pushed again with the
                same `idempotency` they count once.
        """
        return self._run(self._talk.push(view, rows, idempotency or uuid.uuid4().hex))

    def service(self, name: str) -> dict[str, Any]:
        """Return what a service takes and gives, its closure and its snapshot."""
        return self._run(self._talk.service(name))

    def ready(self) -> bool:
        """Tell whether every service has a snapshot."""
        return self._run(self._talk.ready())

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._talk.url!r})"

    def _run(self, talk: Talking[T]) -> T:
        ask = next(talk)
        while True:
            if ask.wait:
                time.sleep(ask.wait)
            try:
                answer = self._http.request(
                    ask.method, ask.path, content=ask.body, headers=ask.headers, timeout=ask.timeout
                )
                heard: Answered | Lost = Answered(answer.status_code, answer.headers, answer.content)
            except _httpx().HTTPError as error:
                heard = _lost(error)
            try:
                ask = talk.send(heard)
            except StopIteration as done:
                result: T = done.value
                return result


class AsyncFeatureClient:
    """The same for asyncio: `async with dp.AsyncFeatureClient(url) as client: await client.lookup(…)`.

    Args:
        url: where the server listens; the others are those of `FeatureClient`.
    """

    def __init__(
        self, url: str, *, key: str | None = None, timeout: float = 5.0, retries: int = 3, pool: int = 32
    ) -> None:
        self._talk = Talk(url, key, timeout, retries)
        self._http: httpx.AsyncClient = _httpx().AsyncClient(**_options(url, timeout, pool))

    async def lookup(
        self,
        service: str,
        entities: Mapping[str, Sequence[Any]],
        *,
        statuses: bool = False,
        ages: bool = False,
        closure: str | None = None,
    ) -> Fetched:
        """See `FeatureClient.lookup`."""
        return await self._run(self._talk.lookup(service, entities, statuses=statuses, ages=ages, closure=closure))

    async def push(self, view: str, rows: Rows, *, idempotency: str | None = None) -> dict[str, Any]:
        """See `FeatureClient.push`."""
        return await self._run(self._talk.push(view, rows, idempotency or uuid.uuid4().hex))

    async def service(self, name: str) -> dict[str, Any]:
        """See `FeatureClient.service`."""
        return await self._run(self._talk.service(name))

    async def ready(self) -> bool:
        """See `FeatureClient.ready`."""
        return await self._run(self._talk.ready())

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._talk.url!r})"

    async def _run(self, talk: Talking[T]) -> T:
        ask = next(talk)
        while True:
            if ask.wait:
                await asyncio.sleep(ask.wait)
            try:
                answer = await self._http.request(
                    ask.method, ask.path, content=ask.body, headers=ask.headers, timeout=ask.timeout
                )
                heard: Answered | Lost = Answered(answer.status_code, answer.headers, answer.content)
            except _httpx().HTTPError as error:
                heard = _lost(error)
            try:
                ask = talk.send(heard)
            except StopIteration as done:
                result: T = done.value
                return result


def _options(url: str, timeout: float, pool: int) -> dict[str, Any]:
    limits = _httpx().Limits(max_connections=pool, max_keepalive_connections=pool, keepalive_expiry=_KEPT)
    return {"base_url": url, "timeout": timeout, "limits": limits}


def _lost(error: Exception) -> Lost:
    """Return what is known of a request that was not answered."""
    return Lost(str(error) or type(error).__name__, late=isinstance(error, _httpx().TimeoutException))


def _httpx() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise MissingExtra("a client of a feature server needs httpx: pip install 'dataplat[serving]'") from error
    return httpx
