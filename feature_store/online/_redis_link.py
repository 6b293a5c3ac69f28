"""The way to a Redis: how it is reached, what is tried again and for how long, and which of its errors means what."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dataplat.errors import ConfigError, MissingExtra, StoreError, StoreTimeout

if TYPE_CHECKING:
    from dataplat.feature_store.online.connect import RedisSettings

T = TypeVar("T")

_log = logging.getLogger(__name__)

CLUSTER_BUCKETS: Final = 64
"""Hash tags over which a space's records are spread on a cluster."""


class Link:
    """A Redis, connected to when it is first needed. Threads share it; a process that was forked connects anew.

    Args:
        settings: how it is reached.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings
        self.buckets = CLUSTER_BUCKETS if settings.cluster else 1
        self._begin()
        _links.add(self)

    def _begin(self) -> None:
        self._client: Any = None
        self._connecting = threading.Lock()

    def run(self, what: str, work: Callable[[Any], T], patience: float | None = None) -> T:
        """Return what a function does with the client; tried again while Redis is away, so it must bear being done twice.

        Args:
            what: is done, for messages.
            work: does it.
            patience: seconds until it is given up; by default the timeout of the settings.

        Raises:
            StoreTimeout: no answer: it may have taken effect.
            StoreError: Redis refuses it.
        """
        redis = _redis()
        end = time.monotonic() + (self.settings.timeout if patience is None else patience)
        wait = 0.005
        while True:
            try:
                return work(self._client or self._connect())
            except (redis.RedisError, redis.exceptions.RedisClusterException) as error:
                problem = self._problem(what, error)
                if not _may_pass(error) or time.monotonic() + wait >= end:
                    raise problem from error
            time.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - no two clients together
            wait = min(2 * wait, 0.25)

    def _problem(self, what: str, error: Exception) -> StoreError:
        redis = _redis()
        place = f"Redis at {self.settings.place}"
        if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
            return StoreError(f"{place} refuses us ({error}): look at [features] username and password")
        if isinstance(error, redis.OutOfMemoryError):
            return StoreError(f"{place} is full ({error}); nothing more is kept: raise maxmemory, or drop services")
        if isinstance(error, redis.BusyLoadingError):
            return StoreError(
                f"{place} still reads its data from disk after a start, and did not do {what}: wait for it"
            )
        away = redis.ConnectionError | redis.TimeoutError | redis.exceptions.RedisClusterException
        if isinstance(error, away):
            return StoreTimeout(
                f"no answer from {place} to {what}: {error}; it may have taken effect or not. Is it running?"
            )
        return StoreError(f"{place} did not do {what}: {error}")

    # ------------------------------------------------------------------------------------------------ connecting

    def _connect(self) -> Any:
        with self._connecting:
            if self._client is None:
                client = self._made()
                try:
                    self._check(client)
                except BaseException:
                    client.close()
                    raise
                self._client = client
            return self._client

    def _made(self) -> Any:
        redis = _redis()
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        given = self.settings
        options: dict[str, Any] = {
            "socket_timeout": given.timeout,
            "socket_connect_timeout": given.timeout,
            "username": given.username,
            "password": given.password.reveal() if given.password is not None else None,
            "retry": Retry(NoBackoff(), 0),  # we try again ourselves, and know for how long
        }
        if given.tls:
            options |= {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True}
            files = {"ssl_ca_certs": given.ca_bundle, "ssl_certfile": given.certificate, "ssl_keyfile": given.key}
            options |= {name: path for name, path in files.items() if path is not None}
        if given.cluster:
            return redis.RedisCluster(host=given.host, port=given.port, require_full_coverage=False, **options)
        return redis.Redis(host=given.host, port=given.port, db=given.database, **options)

    def _check(self, client: Any) -> None:
        """Refuse a Redis that forgets keys by itself, and say where pushed rows are not safe in it.

        Raises:
            ConfigError: its eviction policy is another than noeviction.
        """
        redis = _redis()
        try:
            told = list(self._told(client))
        except redis.exceptions.NoPermissionError:
            _log.warning("Redis at %s does not tell its settings: it must not evict keys", self.settings.place)
            return
        for where, info in told:
            policy = info.get("maxmemory_policy", "noeviction")
            if policy != "noeviction" and info.get("maxmemory", 0):
                text = f"{where} evicts keys when memory is short ({policy}): features would vanish without a word"
                if self.settings.eviction == "refuse":
                    raise ConfigError(
                        f'{text}; set maxmemory-policy to noeviction there, or [features] eviction = "warn" here'
                    )
                _log.warning("%s", text)
            if not info.get("aof_enabled", 0):
                _log.warning(
                    "%s keeps no append-only file: what is pushed is lost if it ends before it is flushed", where
                )

    def _told(self, client: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        if not self.settings.cluster:
            yield f"Redis at {self.settings.place}", client.info("memory") | client.info("persistence")
            return
        for node in client.get_primaries():
            info = client.info("memory", target_nodes=node) | client.info("persistence", target_nodes=node)
            yield f"Redis at {node.name}", info

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        with self._connecting:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def answers(pipe: Any) -> list[Any]:
    """Return the answers to a pipeline; raise the first error among them, without the command that it is about."""
    found: list[Any] = pipe.execute(raise_on_error=False)
    for answer in found:
        if isinstance(answer, Exception):
            raise answer
    return found


_links: weakref.WeakSet[Link] = weakref.WeakSet()


def _in_child() -> None:
    """Connect anew: connections stayed with the parent, and so did a thread that held the lock."""
    for link in _links:
        link._begin()  # noqa: SLF001 - the same module


os.register_at_fork(after_in_child=_in_child)


def _may_pass(error: Exception) -> bool:
    """Return whether the same request may well be answered a moment later."""
    redis = _redis()
    found = redis.exceptions
    lasting = (found.AuthenticationError, found.NoPermissionError, found.MaxConnectionsError)
    passing = (
        redis.ConnectionError,
        redis.TimeoutError,
        redis.ReadOnlyError,
        found.ClusterError,
        found.RedisClusterException,
    )
    moving = (found.TryAgainError, found.MovedError, found.AskError, found.ClusterDownError, found.MasterDownError)
    return not isinstance(error, lasting) and isinstance(error, passing + moving)


def _redis() -> Any:
    try:
        import hiredis  # noqa: F401 - without it answers are read in Python, ten times slower
        import redis
        import redis.exceptions
    except ImportError as error:
        raise MissingExtra("an online store in Redis needs redis and hiredis: pip install 'dataplat[redis]'") from error
    return redis
