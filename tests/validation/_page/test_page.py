"""Pages need nothing beside themselves, escape what they are given, and can be read by keyboard and screen reader."""

import re
from html.parser import HTMLParser

import pytest

from dataplat.validation._page import (
    Html,
    bars,
    cards,
    contents,
    document,
    fragment,
    meter,
    section,
    table,
    tag,
    text,
    twin_bars,
)
from dataplat.validation._page._pieces import slug

NASTY = '<script>alert("1")</script>&\x00\u202e'


class Tags(HTMLParser):
    """Collects start tags, and finds what is not closed."""

    VOID = frozenset({"meta", "rect", "line", "br"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        """Note the tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Find that it is the one that was opened last."""
        if tag not in self.VOID:
            assert self.open.pop() == tag


def whole():
    """Return a page with one of each piece, made of text that would break out of a page."""
    body = (
        cards([(NASTY, NASTY, "bad")])
        + contents(NASTY, [(NASTY, NASTY)])
        + section(
            NASTY,
            table(NASTY, [NASTY, "n"], [[NASTY, 1]], numbers=[1])
            + bars([1, 2], NASTY, ends=(NASTY, NASTY), tips=[NASTY, ""])
            + twin_bars([1], [2], NASTY)
            + meter(2.0, NASTY)
            + tag(NASTY),
        )
    )
    return document(NASTY, body)


def test_everything_is_escaped():
    """Text that looks like HTML is text, in every place that takes it."""
    page = whole()
    assert "<script" not in page
    assert "\x00" not in page
    assert "\u202e" not in page


def test_pages_are_well_formed():
    """Every tag is closed where it was opened, and no id is there twice."""
    found = Tags(whole())
    assert not found.open
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_pages_need_nothing_beside_them():
    """Nothing is loaded: no script, no link, no address but of places in the page."""
    page = whole()
    assert not re.search(r"(src=|<link|@import|url\(|https?:)", page)
    assert all(attrs["href"].startswith("#") for tag, attrs in Tags(page).tags if "href" in attrs)


def test_links_lead_to_sections():
    """What the contents name is there under that id."""
    found = Tags(whole())
    ids = {attrs.get("id") for _, attrs in found.tags}
    assert {attrs["href"][1:] for tag, attrs in found.tags if tag == "a"} <= ids


def test_pictures_are_told_in_words():
    """Every picture is an image with a label."""
    for tag_, attrs in Tags(whole()).tags:
        if tag_ == "svg" or attrs.get("role") == "img":
            assert attrs["role"] == "img"
            assert attrs["aria-label"]


def test_tables_have_heads_and_scroll_by_keyboard():
    """Heads say what they head, and the region that scrolls takes the focus and has a name."""
    found = Tags(table("what", ["a", "b"], [[1, 2]]))
    scopes = [attrs["scope"] for tag_, attrs in found.tags if tag_ == "th"]
    assert scopes == ["col", "col", "row"]
    assert found.tags[0][1] == {"class": "scroll", "role": "region", "tabindex": "0", "aria-label": "what"}


def test_html_is_taken_as_it_is():
    """What is HTML already is not escaped again, and a fragment brings its style along."""
    assert text(Html("<b>")) == "<b>"
    assert fragment("<p>x</p>").startswith('<div class="dp"><style>')


@pytest.mark.parametrize("names", [("a b", "a-b"), ("a_", "a"), ("ä", "a"), ("", "_")])
def test_slugs_tell_names_apart(names):
    """Different names lead to different places, and none needs quoting."""
    one, two = map(slug, names)
    assert one != two
    assert re.fullmatch(r"[A-Za-z0-9_-]+", one)


def test_bars_show_what_is_there():
    """A bar of one in a million is still seen, one of nothing is not there at all."""
    heights = [float(each) for each in re.findall(r'height="([\d.]+)"/>', bars([1_000_000, 1, 0], "x"))]
    assert heights[1] == 1.0
    assert heights[2] == 0.0
