"""Pieces of the pages that people read: reports, profiles and drift look alike and need nothing beside themselves."""

from dataplat.validation._page._charts import bars, meter, twin_bars
from dataplat.validation._page._pieces import Html, cards, contents, document, fragment, section, slug, table, tag, text

__all__ = [
    "Html",
    "bars",
    "cards",
    "contents",
    "document",
    "fragment",
    "meter",
    "section",
    "slug",
    "table",
    "tag",
    "text",
    "twin_bars",
]
