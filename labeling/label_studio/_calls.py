"""How a call of the server fails: what is waited for, what is tried again, which error says what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from dataplat.errors import LabelServerDenied, LabelServerError, LabelServerTimeout, LabelServerTooLarge

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

BUDGET = 60.0
"""Seconds that a call may spend waiting for a server that says it is busy, or does not answer what only asks."""
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries of what only asks; as many tries as there are pauses, and one."""
BUSY = frozenset({429, 503})
"""What a server answers that has not done what was asked: to be asked again later."""
UNCLEAR = frozenset({408, 502, 504})
"""What stands between us and the server answers when the server does not: it may have done it, or may do it yet."""
SHOWN = 300
"""Characters of an answer that a message holds."""


class Refused(Exception):
    """An answer that is no success; `body` is what it said."""

    def __init__(self, status: int, headers: Mapping[str, str], body: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body


@dataclass(frozen=True)
class Calls:
    """Makes calls of one server. What an error says never holds one of `secrets`.

    Asking is tried again when the server cannot be reached, does not answer in time or fails. What changes something
    is tried again only where it certainly was not done: nobody listened, or the server said that it is too busy.
    """

    url: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    budget: float = BUDGET
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def ask(self, what: str, call: Callable[[], T]) -> T:
        """Make a call that changes nothing."""
        return self._make(what, call, changes=False)

    def change(self, what: str, call: Callable[[], T]) -> T:
        """Make a call that changes something; `LabelServerTimeout` says that it may have done so."""
        return self._make(what, call, changes=True)

    def _make(self, what: str, call: Callable[[], T], *, changes: bool) -> T:
        until, tries = self.clock() + self.budget, 0
        while True:
            try:
                return _answer(call)
            except Exception as error:
                pause = self._pause(error, tries, changes=changes)
                if pause is None or self.clock() + pause > until:
                    raised = self.error(what, error, changes=changes)
                    if raised is None:
                        raise
                    raise raised from (None if isinstance(error, Refused) else error)
            self.sleep(pause)
            tries += 1

    def _pause(self, error: Exception, tries: int, *, changes: bool) -> float | None:
        """Return how long to wait before the call is made again; None if it may not be, or has no hope."""
        import httpx

        usual = PAUSES[min(tries, len(PAUSES) - 1)]
        if isinstance(error, Refused) and error.status in BUSY:
            asked = retry_after(error.headers.get("retry-after"))
            if asked is not None or error.status == 429:
                return usual if asked is None else max(asked, 0.05)
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):  # nothing was sent
            return usual if tries < len(PAUSES) else None
        if changes or tries >= len(PAUSES):
            return None
        failed = isinstance(error, Refused) and (error.status >= 500 or error.status in UNCLEAR)
        return usual if failed or isinstance(error, httpx.TransportError) else None

    def error(self, what: str, error: Exception, *, changes: bool) -> LabelServerError | None:
        """Return what is raised for a call that failed; None where that was no fault of the server."""
        import httpx

        where = f"Label Studio at {self.url}: {what}"
        if isinstance(error, Refused):
            return self._refusal(where, error, changes=changes)
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return LabelServerError(
                f"{where}: nobody answers there ({str(error) or 'no connection in time'}); is it running?"
            )
        doubt = "; it may have been done all the same, so look before it is done again" if changes else ""
        if isinstance(error, httpx.TimeoutException):
            return LabelServerTimeout(f"{where}: no answer in time{doubt}")
        if isinstance(error, httpx.TransportError):
            return LabelServerTimeout(f"{where}: the connection broke before an answer ({error}){doubt}")
        return None

    def _refusal(self, where: str, error: Refused, *, changes: bool) -> LabelServerError:
        said = self._without_secrets(error.body)
        if error.status in {401, 403}:
            what = "the token is wrong or has expired" if error.status == 401 else "this account may not do that"
            return LabelServerDenied(f"{where}: {what} (HTTP {error.status}: {said})")
        if error.status in UNCLEAR:
            doubt = "; it may have been done all the same" if changes else ""
            return LabelServerTimeout(f"{where}: no answer in time (HTTP {error.status}){doubt}")
        if error.status == 413:
            return LabelServerTooLarge(f"{where}: too much for one request (HTTP 413); send less at a time")
        if error.status in BUSY:
            return LabelServerError(f"{where}: the server is too busy (HTTP {error.status}); try later")
        if 300 <= error.status < 400:
            return LabelServerError(f"{where}: it sends us elsewhere (HTTP {error.status}); is its URL right?")
        return LabelServerError(f"{where}: HTTP {error.status}: {said}")

    def _without_secrets(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        text = " ".join(text.split())
        return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _answer(call: Callable[[], T]) -> T:
    """Make the call; what the SDK raises becomes `Refused`."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        return call()
    except ApiError as error:
        raise Refused(error.status_code or 0, error.headers or {}, _text(error.body)) from None


def _text(body: Any) -> str:
    """Return what an answer of an error said, as one text."""
    if isinstance(body, Mapping):
        detail = body.get("detail")
        wrong = body.get("validation_errors")
        return f"{detail} {wrong}" if wrong else str(detail or dict(body))
    return str(body)


def retry_after(value: str | None) -> float | None:
    """Return the seconds that a `Retry-After` asks for, or None."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def refuse(response: httpx.Response) -> httpx.Response:
    """Return an answer that is a success; raise `Refused` for another (its body must have been read)."""
    if 200 <= response.status_code < 300:
        return response
    try:
        body = _text(response.json())
    except ValueError:
        body = response.text
    raise Refused(response.status_code, response.headers, body)
