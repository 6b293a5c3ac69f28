"""Accounts of annotators, made by the sign-up form: the API makes accounts that belong to nothing and cannot log in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataplat.errors import AlreadyExists, BadName, LabelServerDenied, LabelServerError
from dataplat.labeling.label_studio import _http
from dataplat.labeling.label_studio._calls import Calls, Refused, refuse
from dataplat.labeling.label_studio._state import ADMIN

if TYPE_CHECKING:
    from dataplat.labeling.label_studio._state import State
    from dataplat.labeling.label_studio.client import LabelStudioServer
    from dataplat.labeling.server import ServerUser

DOMAIN = "annotators.example"
"""Of the addresses of accounts that need none: no mail is sent, and a reserved name reaches nobody."""
SESSION = "sessionid"
"""Label Studio's cookie of who is logged in."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,29}")


@dataclass(frozen=True, slots=True)
class Annotator:
    """Somebody who answers. The password is derived from this machine's secret, and kept nowhere."""

    name: str
    email: str
    password: str = field(repr=False)
    new: bool


def add_annotator(server: LabelStudioServer, state: State, name: str, email: str | None = None) -> Annotator:
    """Return somebody's account, made first where there is none of that name.

    Args:
        server: where, spoken to as somebody who may invite.
        state: what passwords are derived from.
        name: what queues call them: up to 30 lower-case letters, digits, `.`, `_` and `-`.
        email: their address, by default one that reaches nobody; what stands before the @ has to be the name.

    Raises:
        BadName: the name is none, or the address belongs to another.
        AlreadyExists: somebody else made an account of that name; they log in by themselves, with a password of theirs.
    """
    if not _NAME.fullmatch(name):
        raise BadName(f"{name!r} cannot name an annotator: up to 30 lower-case letters, digits, '.', '_' and '-'")
    email = email or f"{name}@{DOMAIN}"
    if email.lower().partition("@")[0] != name:
        raise BadName(f"{email} cannot be the address of {name}: Label Studio calls people by what stands before the @")
    password = state.password_of(email)
    known = next((user for user in server.users() if user.name == name), None)
    if known is None:
        sign_up(server, email, password)
        return Annotator(name, email, password, new=True)
    if known.email != email.lower() or not may_enter(server.url, email, password):
        raise AlreadyExists(
            f"{name} has an account at {server.url} ({known.email}) that was not made here: queues may ask them, and "
            f"they log in by themselves; no link can do it for them"
        )
    return Annotator(name, email, password, new=False)


def accounts_of_ours(users: Sequence[ServerUser]) -> list[str]:
    """Return who has an account on a server that dataplat runs, its administrator left out; nobody on any other."""
    if not any(user.email == ADMIN for user in users):
        return []
    return sorted(user.name for user in users if user.email != ADMIN)


def sign_up(server: LabelStudioServer, email: str, password: str) -> None:
    """Fill in the sign-up form, by the invitation that the organisation gives."""
    invitation = server.invitation()
    calls = Calls(server.url, secrets=(password, invitation))

    def fill_in() -> None:
        with closing(_http.new_client(server.url, cookies=True)) as client:
            fields = {"email": email, "password": password, "allow_newsletters": ""}
            _http.post_form(client, "/user/signup/", {"token": invitation}, fields)

    calls.change(f"make an account for {email}", fill_in)


def log_in(url: str, email: str, password: str, budget: float = 20.0) -> str:
    """Return the cookie of a session in which somebody is logged in.

    Raises:
        LabelServerDenied: the password is not theirs (any more), or the account is gone.
        LabelServerError: the server did not answer as it should.
    """
    calls = Calls(url, secrets=(password,), budget=budget)

    def fill_in() -> str | None:
        with closing(_http.new_client(url, cookies=True)) as client:
            fields = {"email": email, "password": password, "persist_session": "on"}
            try:
                _http.post_form(client, "/user/login/", {}, fields)
            except Refused as error:
                if error.status == 400:  # the form came back
                    raise LabelServerDenied(f"Label Studio at {url}: {email} cannot log in: {error.body}") from None
                raise
            return client.cookies.get(SESSION)

    session = calls.ask(f"log in as {email}", fill_in)
    if not session:
        raise LabelServerError(f"Label Studio at {url}: it logged {email} in without a session")
    return session


def may_enter(url: str, email: str, password: str) -> bool:
    """Return whether a password is somebody's."""
    try:
        log_in(url, email, password)
    except LabelServerDenied:
        return False
    return True


def token_of(url: str, session: str) -> str:
    """Return the access token of who is logged in by a session."""
    with closing(_http.new_client(url, cookies=True)) as client:
        client.cookies.set(SESSION, session)
        return str(refuse(client.get("/api/current-user/token")).json()["token"])
