"""A real Chromium for pages: headless, without any network but the loopback."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[3]
_spec = importlib.util.spec_from_file_location("find_browser", ROOT / "scripts" / "browser.py")
assert _spec is not None
assert _spec.loader is not None
_find = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _find
_spec.loader.exec_module(_find)

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give a browser; skip the test where there is none, fail it in CI."""
    from playwright.sync_api import sync_playwright

    try:
        program = _find.make()
    except _find.NoBrowserError as problem:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI has to prove this in a real browser: {problem}")
        pytest.skip(f"no browser: {problem}")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(program), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
