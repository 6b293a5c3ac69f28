"""Who is asked: those named, else all who have an account; and who has none is told of."""

from __future__ import annotations

import pytest

from dataplat.errors import LabelError
from dataplat.labeling.label_studio._state import ADMIN


def test_nobody_named_is_everybody(desk_of):
    """On a server of ours a queue that names nobody asks all but its administrator and who decides, from its first push on."""
    desk = desk_of(annotators=[], adjudicator="cy")
    with pytest.raises(LabelError, match="annotator list"):
        desk.queue.push(plan=True)
    next(user for user in desk.site.users if user.name == "admin").email = ADMIN
    pushed = desk.queue.push()
    assert set(pushed.placed) == {"anna", "bob"}
    assert any("anna, bob" in text for text in pushed.notes)
    assert desk.queue.spec.annotators == ("anna", "bob")
    desk.site.add_user("dora")
    assert desk.queue.push().notes == []
    assert desk.queue.spec.annotators == ("anna", "bob")
    same = {"show": ["carrier", "dep_delay"], "choices": ["carrier", "weather", "other"], "overlap": 2}
    again = desk.lake.label_queue("delays", source="flights", server=desk.queue.server, adjudicator="cy", **same)
    assert again.spec == desk.queue.spec


def test_elsewhere_people_are_named(desk_of):
    """A server of others has accounts of people who were never meant: nobody is asked."""
    with pytest.raises(LabelError, match="annotator add"):
        desk_of(annotators=[]).queue.push()


def test_who_has_no_account_is_told_of(desk_of):
    """Tasks may wait for somebody who gets an account later, and it is said that one is needed."""
    pushed = desk_of(annotators=["anna", "zoe"]).queue.push()
    assert pushed.notes == ["zoe has no account yet: `dataplat label annotator add zoe` makes it"]
