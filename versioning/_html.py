"""Values as text in HTML: escaped, cut where they are long, without characters that browsers drop or take amiss."""

from __future__ import annotations

import html
import math
import re
from typing import Any, Final

_LONGEST: Final = 200
"""Characters of a cell that are shown."""

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def html_text(value: Any, longest: int | None = _LONGEST) -> str:
    r"""Return a value as HTML; control characters and lone surrogates as escapes such as \x00."""
    text = "NaN" if isinstance(value, float) and math.isnan(value) else str(value)
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    return html.escape(_CONTROL.sub(lambda found: ascii(found.group())[1:-1], text))
