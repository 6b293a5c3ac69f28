"""Hold sizes and names: no module over 500 lines, no function over 80, no drawer called `utils`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (
    "dataplat", "connectors", "feature_store", "labeling", "lake", "validation", "versioning",
    "benchmarks", "examples", "scripts", "tests",
)  # fmt: skip
MODULE_LINES = 500
FUNCTION_LINES = 80
DRAWERS = frozenset({"utils", "util", "helpers", "helper", "manager", "common", "misc"})


def files() -> Iterator[Path]:
    """Yield every Python file once, under the folder where it lies; what benchmarks brought along is not ours."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            ours = not path.is_relative_to(ROOT / "benchmarks" / "data")
            if ours and not any(parent.is_symlink() for parent in path.parents):
                yield path


def problems() -> Iterator[str]:
    """Yield one line for everything too long or named for nothing."""
    for path in files():
        place = path.relative_to(ROOT)
        text = path.read_text("utf-8")
        lines = text.count("\n")
        if lines > MODULE_LINES:
            yield f"{place}: {lines} lines; a module is one idea, at most {MODULE_LINES}"
        if DRAWERS & {part.strip("_") for part in place.with_suffix("").parts}:
            yield f"{place}: name it after what it is about"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    yield f"{place}:{node.lineno}: {node.name} has {length} lines; at most {FUNCTION_LINES}"


if __name__ == "__main__":
    found = list(problems())
    print("\n".join(found) or "sizes and names are within bounds")
    sys.exit(bool(found))
