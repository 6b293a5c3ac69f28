"""Links hold what they are for, and a signature: whoever changes one has none."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplat.errors import LabelServerError
from dataplat.labeling.label_studio._state import State
from dataplat.labeling.serve import links
from dataplat.labeling.serve.links import Entry, Media, hook_secret, read, sign

STATE = State(token="t" * 40, password="p", secret="s" * 64)
OTHER = State(token="t" * 40, password="p", secret="r" * 64)
texts = st.text(max_size=20)
media = st.builds(Media, texts, texts, texts, texts, texts, st.integers(0, 2**40))
entries = st.builds(Entry, texts, texts)


@given(media | entries)
def test_read_as_it_was_signed(named: Media | Entry) -> None:
    """What was signed is read again, and its text fits into a URL."""
    token = sign(named, STATE)
    assert read(token, type(named), STATE) == named
    assert all(letter.isalnum() or letter in "-_" for letter in token)


@given(media, st.data())
def test_any_other_text_is_none(named: Media, data: st.DataObject) -> None:
    """A link in which one bit differs, or that was cut or made longer, is none."""
    raw = bytearray(urlsafe_b64decode((token := sign(named, STATE)) + "=" * (-len(token) % 4)))
    at = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[at // 8] ^= 1 << at % 8
    assert read(urlsafe_b64encode(raw).rstrip(b"=").decode(), Media, STATE) is None
    assert read(token[:-2], Media, STATE) is None
    assert read(token + "AA", Media, STATE) is None


@given(texts)
def test_garbage_is_none(text: str) -> None:
    """Text that is no link at all is none, whatever it is."""
    assert read(text, Media, STATE) is None


def test_of_another_machine_or_kind() -> None:
    """A link of another secret is none, nor does a way in show media."""
    entry = sign(Entry("anna", "anna@x.example"), STATE)
    assert read(entry, Entry, OTHER) is None
    assert read(entry, Media, STATE) is None
    assert hook_secret("a", STATE) != hook_secret("b", STATE) != hook_secret("b", OTHER)


def test_the_same_within_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links expire at whole hours: pushed again a minute later a task is the same; they last at least as long as asked."""
    monkeypatch.setattr(links, "_in_force", lambda: (STATE, "http://127.0.0.1:1"))
    monkeypatch.setattr("time.time", lambda: 7_200_000.0 + 60)
    first = links.media_link("/lake", "q", "main", "t", "c", 600)
    monkeypatch.setattr("time.time", lambda: 7_200_000.0 + 120)
    assert links.media_link("/lake", "q", "main", "t", "c", 600) == first
    shown = read(first.rpartition("/")[2], Media, STATE)
    assert shown == Media("/lake", "q", "main", "t", "c", 7_203_600)


def test_no_server_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing would answer them no links are made, and it is said how to get them."""
    from dataplat.labeling import connect

    monkeypatch.setattr(connect, "find_address", lambda: connect.Address("http://ls", "t", None, local=False))
    links._looked_up.cache_clear()
    with pytest.raises(LabelServerError, match="dataplat label server start"):
        links.media_link("/lake", "q", "main", "t", "c", 600)
    links._looked_up.cache_clear()
