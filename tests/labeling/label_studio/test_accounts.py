"""Accounts of annotators at a real Label Studio: made by the sign-up form, entered by a derived password."""

from __future__ import annotations

import httpx
import pytest

from dataplat.errors import AlreadyExists, BadName, LabelServerDenied, LabelServerError
from dataplat.labeling.label_studio._state import State
from dataplat.labeling.label_studio.accounts import add_annotator, log_in, may_enter, sign_up, token_of
from servers import LabelStudio

pytestmark = pytest.mark.slow


def test_made_once(label_studio: LabelStudio) -> None:
    """An account is made once; asked again the same one is given, and its password is not told."""
    server, name = label_studio.client(), label_studio.new_name("anna")
    made = add_annotator(server, label_studio.state, name)
    again = add_annotator(server, label_studio.state, name)
    assert (made.new, again.new) == (True, False)
    assert made.email == again.email == f"{name}@annotators.example"
    assert made.password not in repr(made)
    assert [user.email for user in server.users() if user.name == name] == [made.email]


def test_belongs_to_the_organisation(label_studio: LabelStudio) -> None:
    """Who signed up can work: they log in, and are in the organisation whose projects they are to see."""
    made = add_annotator(label_studio.client(), label_studio.state, label_studio.new_name("bob"))
    session = log_in(label_studio.url, made.email, made.password)
    token = token_of(label_studio.url, session)
    who = httpx.get(f"{label_studio.url}/api/current-user/whoami", headers={"Authorization": f"Token {token}"}).json()
    assert who["email"] == made.email
    assert who["active_organization"] is not None


def test_everybody_sees_all(label_studio: LabelStudio) -> None:
    """The open edition has no roles: an annotator may see another's project, so links lead each to their own."""
    server, name = label_studio.client(), label_studio.new_name("max")
    config = '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="a"/></Choices></View>'
    project = server.create_project(f"dataplat:l:q:not-{name}", "theirs", config)
    made = add_annotator(server, label_studio.state, name)
    token = token_of(label_studio.url, log_in(label_studio.url, made.email, made.password))
    assert [each.id for each in label_studio.client(token).projects(project.mark)] == [project.id]


def test_wrong_password(label_studio: LabelStudio) -> None:
    """A password that is not theirs lets nobody in, and is in no message."""
    made = add_annotator(label_studio.client(), label_studio.state, label_studio.new_name("eve"))
    with pytest.raises(LabelServerDenied, match="don't match") as caught:
        log_in(label_studio.url, made.email, "not-the-password")
    assert "not-the-password" not in str(caught.value)
    assert not may_enter(label_studio.url, made.email, "not-the-password")
    assert may_enter(label_studio.url, made.email, made.password)


@pytest.mark.parametrize("name", ["", "Anna", "anna maria", "x" * 31, "ännä", "-a", "a@b"])
def test_names(label_studio: LabelStudio, name: str) -> None:
    """Names are what the server can call people by; others are refused before anything is made."""
    with pytest.raises(BadName, match="cannot name an annotator"):
        add_annotator(label_studio.client(), label_studio.state, name)


def test_addresses(label_studio: LabelStudio) -> None:
    """An address of one's own is taken where it begins with the name."""
    server, name = label_studio.client(), label_studio.new_name("kim")
    with pytest.raises(BadName, match="what stands before the @"):
        add_annotator(server, label_studio.state, name, "other@example.org")
    assert add_annotator(server, label_studio.state, name, f"{name}@example.org").email == f"{name}@example.org"


def test_of_somebody_else(label_studio: LabelStudio) -> None:
    """An account that was not made here is said to be: its password is not ours."""
    server, name = label_studio.client(), label_studio.new_name("zoe")
    sign_up(server, f"{name}@example.org", "a-password-of-hers")
    with pytest.raises(AlreadyExists, match="they log in by themselves"):
        add_annotator(server, label_studio.state, name)
    other = State(token=label_studio.token, password="p", secret="another machine's", port=label_studio.port)
    made = add_annotator(server, label_studio.state, label_studio.new_name("jo"))
    with pytest.raises(AlreadyExists):
        add_annotator(server, other, made.name)


def test_what_the_form_says(label_studio: LabelStudio) -> None:
    """What the form refuses is told in its words."""
    with pytest.raises(LabelServerError, match="8–128 characters"):
        sign_up(label_studio.client(), f"{label_studio.new_name('x')}@example.org", "short")
