"""The page of /docs: it draws /openapi.json, and sends what is tried. It is whole in one file, and needs no other machine."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("page.html")
_PIECE: Final = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


def page() -> tuple[str, dict[str, str]]:
    """Return the page, and headers that let a browser run what is in it and nothing else.

    https://www.w3.org/TR/CSP3/: a script or style counts by the hash of its text.
    """
    text = _FILE.read_text("utf-8")
    hashes = {kind: b64encode(hashlib.sha256(inner.encode()).digest()).decode() for kind, inner in _PIECE.findall(text)}
    policy = (
        f"default-src 'none'; script-src 'sha256-{hashes['script']}'; style-src 'sha256-{hashes['style']}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
