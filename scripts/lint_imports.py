"""Hold the direction of imports between the rooms, and what may be loaded at import.

    errors, config <- lake <- versioning <- connectors, validation <- labeling, feature_store <- ingest, server, cli

Reads the source, so imports inside functions count too. `if TYPE_CHECKING:` blocks do not: they load nothing.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("connectors", "feature_store", "labeling", "lake", "validation", "versioning")

GROUND = frozenset({"errors", "config"})
LAKE = GROUND | {"lake"}
VERSIONING = LAKE | {"versioning"}
MIDDLE = VERSIONING | {"connectors", "validation"}
ABOVE = MIDDLE | {"labeling", "feature_store"}
FACE = ABOVE | {"ingest", "_lake", "_version", ""}  # "" is dataplat itself: the public names

MAY_IMPORT: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "config": frozenset({"errors"}),
    "lake": LAKE,
    "versioning": VERSIONING,
    "connectors": VERSIONING | {"connectors"},
    "validation": VERSIONING | {"validation"},
    "labeling": MIDDLE | {"labeling"},
    "feature_store": MIDDLE | {"feature_store"},
    "testing": FACE | {"testing", "server", "_features"},
}
"""Every other module of the face may import all but `testing`, `cli` and `server` (which import themselves; `cli` starts
`server`, too)."""


def sources() -> Iterator[tuple[str, Path]]:
    """Yield (dotted module name, file) of every module of the package, each room under the name users import."""
    for folder in ("dataplat", *ROOMS):
        for path in sorted((ROOT / folder).rglob("*.py")):
            relative = path.relative_to(ROOT)
            if path.is_symlink() or (folder == "dataplat" and relative.parts[1] in ROOMS):
                continue
            parts = relative.with_suffix("").parts
            parts = parts if folder == "dataplat" else ("dataplat", *parts)
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def room(module: str) -> str:
    """Return the room of a dotted name: its second segment, "" for the package itself."""
    return module.split(".")[1] if "." in module else ""


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of everything imported, outside of `if TYPE_CHECKING:`."""
    for node in ast.iter_child_nodes(tree):
        if _is_type_checking(node):
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "dataplat":  # `from dataplat import lake` names a room, `import open` a public name
                yield from ((node.lineno, f"dataplat.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module
        yield from imports(node)


def problems() -> Iterator[str]:
    """Yield one line for every import that points the wrong way."""
    for module, path in sources():
        here = room(module)
        tree = ast.parse(path.read_text("utf-8"))
        for line, name in imports(tree):
            place = f"{path.relative_to(ROOT)}:{line}"
            if name.split(".")[0] in ROOMS:
                yield f"{place}: import {name} as dataplat.{name}: the top-level room is a second copy"
            if name.split(".")[0] != "dataplat":
                continue
            there = room(name)
            if not _allowed(here, there):
                yield f"{place}: {here or 'dataplat'} must not import {name}"


def _allowed(here: str, there: str) -> bool:
    known = {*ROOMS, "errors", "config", "ingest", "server", "cli", "testing", "__main__"}
    if there not in known and not there.startswith("_"):
        there = ""  # a public name of dataplat itself
    if here == there:
        return True
    if here in MAY_IMPORT:
        return there in MAY_IMPORT[here]
    if here == "__main__":
        return there == "cli"
    if here == "cli" and there == "server":
        return True
    return there not in {"testing", "server", "cli"}


if __name__ == "__main__":
    found = list(problems())
    print("\n".join(found) or "imports point one way")
    sys.exit(bool(found))
