"""A hook of the docs: every page of docs/decisions is in the navigation, newest last, under its own title."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Fill the empty section `Decisions`."""
    pages = sorted(Path(config["docs_dir"], "decisions").glob("*.md"))
    for section in config["nav"]:
        if "Decisions" in section:
            section["Decisions"] = [f"decisions/{page.name}" for page in pages]
    config["nav"] = [section for section in config["nav"] if section != {"Decisions": []}]
    return config
