"""What is tried again, what is not, and which error says what happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.core.api_error import ApiError

from dataplat.errors import LabelServerDenied, LabelServerError, LabelServerTimeout, LabelServerTooLarge
from dataplat.labeling.label_studio._calls import PAUSES, Calls, Refused, retry_after

NOT_SENT = (httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"))
UNCLEAR = (
    httpx.ReadTimeout("slow"),
    httpx.RemoteProtocolError("gone"),
    httpx.ReadError("reset"),
    httpx.WriteTimeout("x"),
)


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


def failing(*errors: Exception) -> Callable[[], str]:
    """Return a call that fails in these ways, one after the other, and then is done."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return call


def refused(status: int, body: Any = "no", **headers: str) -> ApiError:
    """Return an answer as the SDK raises it."""
    return ApiError(
        status_code=status, headers={name.replace("_", "-"): text for name, text in headers.items()}, body=body
    )


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


@pytest.fixture
def calls(clock: Clock) -> Calls:
    """Return calls of a server, in a time of their own."""
    return Calls("http://ls", secrets=("s3cr3t",), sleep=clock.sleep, clock=lambda: clock.now)


class TestAsking:
    @pytest.mark.parametrize(
        "error", [*NOT_SENT, *UNCLEAR, refused(500), refused(502), refused(503), refused(504), refused(408)]
    )
    def test_again(self, calls: Calls, clock: Clock, error: Exception) -> None:
        """What changes nothing is asked again when nobody answers, or the server fails."""
        assert calls.ask("look", failing(error, error)) == "done"
        assert clock.slept == list(PAUSES[:2])

    @pytest.mark.parametrize(
        "error", [refused(400), refused(401), refused(403), refused(404), refused(409), refused(413), refused(302)]
    )
    def test_no_hope(self, calls: Calls, clock: Clock, error: Exception) -> None:
        """What the server refuses for a reason is not asked again."""
        with pytest.raises(LabelServerError):
            calls.ask("look", failing(error))
        assert clock.slept == []

    def test_gives_up(self, calls: Calls, clock: Clock) -> None:
        """After some tries it gives up."""
        with pytest.raises(LabelServerTimeout, match="http://ls: look: no answer in time$"):
            calls.ask("look", failing(*[httpx.ReadTimeout("x")] * 9))
        assert clock.slept == list(PAUSES)


class TestChanging:
    @pytest.mark.parametrize("error", [*UNCLEAR, refused(408), refused(502), refused(504)])
    def test_in_doubt(self, calls: Calls, clock: Clock, error: Exception) -> None:
        """What may have been done is not done again, and that it may have been is said."""
        with pytest.raises(LabelServerTimeout, match="it may have been done all the same"):
            calls.change("add 5 tasks", failing(error))
        assert clock.slept == []

    @pytest.mark.parametrize("error", [refused(500), refused(503), refused(507)])
    def test_failed(self, calls: Calls, clock: Clock, error: Exception) -> None:
        """A server that failed half-way is not asked to do it again."""
        with pytest.raises(LabelServerError):
            calls.change("add 5 tasks", failing(error))
        assert clock.slept == []

    @pytest.mark.parametrize(
        "error", [*NOT_SENT, refused(429), refused(429, retry_after="3"), refused(503, retry_after="3")]
    )
    def test_not_done(self, calls: Calls, clock: Clock, error: Exception) -> None:
        """What certainly was not done is done again: nobody listened, or the server said that it is too busy."""
        assert calls.change("add 5 tasks", failing(error)) == "done"
        assert len(clock.slept) == 1


class TestBusy:
    def test_waited_for_as_asked(self, calls: Calls, clock: Clock) -> None:
        """The server says how long it wants to be left alone."""
        assert calls.change("x", failing(refused(429, retry_after="7"), refused(503, retry_after="11"))) == "done"
        assert clock.slept == [7.0, 11.0]

    def test_not_longer_than_the_budget(self, calls: Calls, clock: Clock) -> None:
        """Longer than the budget nobody waits; it is said at once where the server asks for more."""
        with pytest.raises(LabelServerError, match="too busy"):
            calls.change("x", failing(*[refused(429, retry_after="25")] * 9))
        assert clock.slept == [25.0, 25.0]
        with pytest.raises(LabelServerError, match="too busy"):
            calls.change("x", failing(refused(429, retry_after="3600")))
        assert clock.slept == [25.0, 25.0]

    def test_dates(self) -> None:
        """`Retry-After` may be a date; what is neither is as good as none, and the past is now."""
        assert retry_after(formatdate(time.time() + 30, usegmt=True)) == pytest.approx(30, abs=2)
        assert retry_after(formatdate(0, usegmt=True)) == 0
        assert retry_after("soon") is None
        assert retry_after(None) is None


class TestTold:
    @pytest.mark.parametrize(
        ("error", "kind", "said"),
        [
            (
                refused(401, {"detail": "Invalid token."}),
                LabelServerDenied,
                "the token is wrong or has expired (HTTP 401: Invalid token.)",
            ),
            (refused(403), LabelServerDenied, "this account may not do that"),
            (refused(413), LabelServerTooLarge, "too much for one request"),
            (refused(301), LabelServerError, "is its URL right?"),
            (
                refused(400, {"detail": "bad", "validation_errors": {"x": ["y"]}}),
                LabelServerError,
                "HTTP 400: bad {'x': ['y']}",
            ),
            (refused(500, {"other": 1}), LabelServerError, "HTTP 500: {'other': 1}"),
            (
                httpx.ConnectError("Connection refused"),
                LabelServerError,
                "nobody answers there (Connection refused); is it running?",
            ),
        ],
    )
    def test_messages(self, calls: Calls, error: Exception, kind: type[Exception], said: str) -> None:
        """A message says which server, what was asked of it, and what it said."""
        with pytest.raises(kind) as caught:
            calls.change("do it", failing(*[error] * 9))
        assert type(caught.value) is kind
        assert str(caught.value).startswith("Label Studio at http://ls: do it: ")
        assert said in str(caught.value)

    @given(st.text(max_size=400), st.text(max_size=400))
    def test_no_secret(self, before: str, after: str) -> None:
        """What a server answers is told without the secrets, shortened, on one line."""
        error = Calls("http://ls", secrets=("s3cr3t",)).error(
            "x", Refused(400, {}, before + "s3cr3t" + after), changes=True
        )
        assert "s3cr3t" not in str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 400
        assert "s3cr3t" not in repr(Calls("http://ls", secrets=("s3cr3t",)))

    def test_our_own_mistakes(self, calls: Calls, clock: Clock) -> None:
        """An error of ours is raised as it is, and nothing is tried again."""
        with pytest.raises(ZeroDivisionError):
            calls.ask("look", lambda: 1 / 0)
        assert clock.slept == []
