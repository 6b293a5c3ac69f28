"""/docs in a real browser: drawn from the document of what is served, without another machine, on a phone and a desk."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from dataplat.server._access import AccessLog
from dataplat.server._counts import Counts
from dataplat.server._keyring import Keyring
from dataplat.server._rest import Desk, rest
from dataplat.server._settings import Settings
from servers.features import running, until

SCREENS = {"a phone, dark": (360, 800, "dark"), "a desk, light": (1400, 900, "light")}


def opened(browser, url, wrong, **options):
    """Open the page; errors of the console, and requests to anybody else, are noted."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    here = urlsplit(url).netloc
    page.on("request", lambda asked: wrong.append(asked.url) if urlsplit(asked.url).netloc != here else None)
    page.goto(f"{url}/docs")
    page.wait_for_selector("#lookup")
    return page


@pytest.fixture(params=list(SCREENS))
def page(request, browser, server):
    """Return the page, on a narrow and on a wide screen."""
    wrong = []
    width, height, scheme = SCREENS[request.param]
    found = opened(browser, server.url, wrong, viewport={"width": width, "height": height}, color_scheme=scheme)
    yield found
    found.context.close()
    assert not wrong


def test_the_page_needs_nobody_else(server):
    """What it is made of is in it, and a browser is told to run nothing else; there is no address of another machine."""
    answer = server.ask("GET", "/docs")
    text = answer.body.decode()
    assert answer.headers["content-type"].startswith("text/html")
    assert "http://" not in text
    assert "https://" not in text
    assert "src=" not in text
    assert "innerHTML" not in text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_the_page_says_what_the_document_says(page, server):
    """Every operation with what it takes and answers; bodies in the types of the service."""
    document = server.ask("GET", "/openapi.json").json
    told = {(m.upper(), path) for path, methods in document["paths"].items() for m in methods}
    heads = page.locator("main > details > summary")
    assert {tuple(text.split()[:2]) for text in heads.all_inner_texts()} == told
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    lookup = page.locator("#lookup").inner_text()
    assert "entities.airport" in lookup
    assert "array of (string or null), at most 250" in lookup
    assert "features.view_0__f3" in lookup
    for status in document["paths"]["/features/lookup"]["post"]["responses"]:
        assert page.locator("#lookup [aria-label=Answers] tbody th").get_by_text(status, exact=True).count() == 1


def test_a_lookup_is_tried(page):
    """The example is right but for its key; what is sent is answered on the page, and what is wrong as well."""
    body = page.locator("#lookup textarea")
    asked = json.loads(body.input_value())
    assert asked == {"service": "bench", "entities": {"airport": [""]}}
    body.fill(json.dumps(asked | {"entities": {"airport": ["k7"]}}))
    page.locator("#lookup button").click()
    page.wait_for_selector("#lookup pre")
    assert page.locator("#lookup p.good").inner_text().startswith("200")
    assert "dataplat-snapshot: n1" in page.locator("#lookup form").inner_text()
    assert json.loads(page.locator("#lookup pre").inner_text())["features"]["view_0__f3"] == [7 * 31 + 3 + 1_000_003]


def test_it_is_read_by_keyboard_and_fits(page):
    """One heading, named fields and tables; nothing is wider than the screen."""
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert page.locator("main").count() == page.locator("h1").count() == 1
    assert page.locator("table").count() == page.locator("[role=region][tabindex='0'][aria-label] > table").count()
    for field in ("textarea", "input", "select"):
        named = page.locator(f"{field}[aria-label], label {field}")
        assert page.locator(field).count() == named.count()
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") in {"A", "SUMMARY"}


def test_with_keys(browser, tmp_path, monkeypatch):
    """Where there are API keys the page asks for one, and sends it; it keeps none."""
    monkeypatch.setenv("DP_PAGE_KEY", "the-key-of-the-page")
    toml = '[serve.keys.me]\nkey = "env:DP_PAGE_KEY"\nscopes = ["lookup", "admin"]\n'
    wrong = []
    with running(tmp_path, toml=toml) as server:
        until(lambda: server.ask("GET", "/healthz").status == 200)
        page = opened(browser, server.url, wrong)
        page.locator("input[type=password]").fill("the-key-of-the-page")
        page.locator("#list_services summary").click()
        page.locator("#list_services button").click()
        page.wait_for_selector("#list_services p.good")
        assert "bench@1" in page.locator("#list_services pre").inner_text()
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0
        page.context.close()
    assert not wrong


@pytest.mark.parametrize("docs", [True, False])
def test_without_docs(docs):
    """Where they are not wanted there is neither page nor document."""
    settings = Settings(docs=docs)
    app = rest(Desk(None, settings, Keyring({}), Counts(), AccessLog("")))
    assert ({"/docs", "/openapi.json"} <= {route.path for route in app.routes}) is docs
