"""hdfs-native as a store needs it: settings, calls that end, and what its errors mean."""

from __future__ import annotations

import atexit
import ctypes
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from dataplat.errors import ConfigError, MissingExtra, StoreError, StoreTimeout

if TYPE_CHECKING:
    from hdfs_native import Client

T = TypeVar("T")

_UNCLEAR = re.compile(
    r"\.(?:StandbyException|ObserverRetryOnActiveException|RetriableException|SafeModeException|NotReplicatedYetException"
    r"|LeaseExpiredException|RpcNoSuchProtocolException|FatalConnectionException|IpcException|ServerTooBusyException)\b"
    r"|could only be written to|NodeException|^(?:DataTransferError|ChecksumError|BlocksNotFound|OperationFailed"
    r"|InternalError|InvalidRPCResponse)\b"
)
"""What a NameNode or the client says of a state that passes."""
_ADVICE = (
    (r"^InvalidArgument\(\"No", "the URL names no NameNode: give hdfs://HOST:PORT/PATH, or set HADOOP_CONF_DIR"),
    (r"^(?:SASLError|GSSAPIError|NoSASLMechanism)", "Kerberos did not let us in: `kinit`, or set KRB5CCNAME"),
    (r"SIMPLE authentication is not enabled", "the cluster asks for Kerberos: set HADOOP_CONF_DIR, and `kinit`"),
    (r"QuotaExceededException", "a quota of the folder is used up"),
    (r"ParentNotDirectoryException", "one of its folders is an object: a key cannot be a folder of others"),
    (r"must both be directories", "it is the folder of other objects"),
    (r"AccessControlException", "access denied: this user may not do that there"),
)
_CACHED = 3.1
"""Seconds for which hdfs-native keeps connections to DataNodes, for the whole process."""


class Steps:
    """Calls of one request in a thread of its own, which is left alone once one of them is silent for too long.

    hdfs-native waits for a NameNode as long as TCP does, which for a half-open connection is hours.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._left = False
        self._moved = time.monotonic()

    def __call__(self, call: Callable[..., T], *arguments: Any) -> T:
        """Return what `call` returns, unless nobody waits for it any more."""
        self.moved()
        answer = call(*arguments)
        self.moved()
        return answer

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """Yield items that come over the network."""
        for item in items:
            self.moved()
            yield item

    def moved(self) -> None:
        """Note that something came; end the thread if it was given up meanwhile, before it changes anything."""
        if self._left:
            raise StoreTimeout("given up")
        self._moved = time.monotonic()

    def run(self, work: Callable[[Steps], T]) -> T:
        """Return what `work` returns; raise `TimeoutError` once it is silent for longer than the patience."""
        answer: Future[T] = Future()

        def call() -> None:
            try:
                answer.set_result(work(self))
            except BaseException as error:  # noqa: BLE001  (raised by who waits)
                answer.set_exception(error)

        thread = Inside(call, "dataplat-hdfs")
        while True:
            left = self._moved + self._patience - time.monotonic()
            if left <= 0:
                self._left = True
                thread.leave()
                raise TimeoutError(f"nothing came for {self._patience:g} s")
            try:
                return answer.result(left)
            except TimeoutError:
                if answer.done():  # that is what it raised, or it came just now
                    return answer.result()


class Inside(threading.Thread):
    """A thread that calls hdfs-native, for which the end of the process waits, though not for ever.

    Until 3.14 Python unwinds a thread that comes back while it is shutting down; that of Rust's frames aborts the
    process, after all its work was done.
    """

    _all: ClassVar[set[Inside]] = set()

    def __init__(self, work: Callable[[], object], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._all.add(self)
        self.start()

    def run(self) -> None:
        """Do it."""
        try:
            self._work()
        finally:
            self.leave()

    def leave(self) -> None:
        """Let the process end without this one."""
        self._all.discard(self)

    @classmethod
    def wait(cls) -> None:
        """Wait for all of them; a close takes half a second, and more than that is silence."""
        until = time.monotonic() + 2
        for thread in list(cls._all):
            thread.join(max(until - time.monotonic(), 0))


atexit.register(Inside.wait)


def connect(host: str, settings: Mapping[str, Any], before: tuple[int, Client] | None) -> Client:
    """Return a client of this process; `before` is that of the parent it was forked from, if any."""
    try:
        from hdfs_native import Client
    except ModuleNotFoundError as error:
        raise MissingExtra("lakes on HDFS need hdfs-native: pip install 'dataplat[hdfs]'") from error
    if before is not None:  # it must never be dropped: that waits for threads which a child does not have
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(before[1]))
    _Forks.wait()
    milliseconds = int(float(settings.get("timeout", 30)) * 1000)
    properties = {
        "dfs.client.socket-timeout": str(milliseconds),
        "dfs.client.failover.max.attempts": "0" if ":" in host else "3",  # 15, with sleeps: RetryingStore does that
        **settings.get("properties", {}),
    }
    _be(settings.get("user"))
    client = Client(f"hdfs://{host}" if host else None, properties)
    _Forks.used = True
    return client


def _be(user: str | None) -> None:
    """Be that user, of a cluster without Kerberos; hdfs-native takes the name from the environment only."""
    if user is None:
        return
    known = os.environ.setdefault("HADOOP_USER_NAME", user)
    if known != user:
        raise ConfigError(
            f"`user` is {user!r} but this process is {known!r} to HDFS already (HADOOP_USER_NAME): one process, one user"
        )


class _Forks:
    """When this process was forked from one that used HDFS: until its connections have expired, ours would be theirs."""

    used = False
    until = 0.0

    @classmethod
    def child(cls) -> None:
        if cls.used:
            cls.until = time.monotonic() + _CACHED

    @classmethod
    def wait(cls) -> None:
        time.sleep(max(cls.until - time.monotonic(), 0))


os.register_at_fork(after_in_child=_Forks.child)


def says(error: BaseException) -> str:
    """Return the first line of what a NameNode says, without its stack of calls."""
    return str(error).partition("\n\tat ")[0].partition("\\n\\tat ")[0]


def gone(error: Exception) -> bool:
    """Whether there is no such file, or no such folder."""
    return isinstance(error, FileNotFoundError) or (
        isinstance(error, RuntimeError) and "(is not a directory)" in says(error)
    )


def explained(error: Exception, what: str) -> Exception:
    """Return what a failed call means: an error of ours, which says what was being done, where, and why not."""
    text = says(error) or type(error).__name__
    if isinstance(error, ConfigError):
        return error
    if isinstance(error, StoreTimeout) or (isinstance(error, OSError) and not isinstance(error, StoreError)):
        return StoreTimeout(f"no answer to {what}: {text}")
    if isinstance(error, StoreError):
        return type(error)(f"cannot {what}: {text}")
    if _UNCLEAR.search(text):
        return StoreTimeout(f"no clear answer to {what}: {text}")
    advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, text)), None)
    if advice is not None and text.startswith("InvalidArgument"):
        return ConfigError(f"cannot {what}: {advice}")
    return StoreError(f"cannot {what}: {advice} ({text})" if advice else f"cannot {what}: {text}")
