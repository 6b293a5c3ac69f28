"""Write docs/reference/python.md from the public names; `--check` fails if it is not up to date."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli_reference import write_or_check

import dataplat

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "python.md"

HEAD = """\
# Python

<!-- written by scripts/api_reference.py: change the docstrings, then `make reference` -->

`import dataplat as dp`. These names are held by a test; everything else may change without notice.
"""


def described(name: str, thing: Any, depth: int) -> Iterator[str]:
    """Yield the heading, signature and docstring of one name, and of the public members of a class."""
    yield f"\n{'#' * depth} {name}\n"
    if callable(thing) and not (inspect.isclass(thing) and issubclass(thing, BaseException)):
        yield f"\n```text\n{signature(name, thing)}\n```\n"
    yield f"\n{text_of(thing)}\n"
    if inspect.isclass(thing) and not issubclass(thing, BaseException):
        for member, value in members(thing):
            yield from described(f"{name}.{member}", value, depth + 1)


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class defines itself, in the order of its source."""
    for name, value in vars(kind).items():
        plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        shown = inspect.isfunction(plain) or isinstance(plain, property) or hasattr(plain, "attrname")
        if not name.startswith("_") and shown and text_of(plain):
            yield name, plain


def signature(name: str, thing: Any) -> str:
    """Return `name(arguments) -> result` as it is written, wrapped by argument where it is long."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return name
    parameters = [str(parameter) for key, parameter in found.parameters.items() if key != "self"]
    keyword = next((i for i, p in enumerate(found.parameters.values()) if p.kind is p.KEYWORD_ONLY), None)
    if keyword is not None and not any(p.kind is p.VAR_POSITIONAL for p in found.parameters.values()):
        parameters.insert(keyword - ("self" in found.parameters), "*")
    result = found.return_annotation
    arrow = "" if result is inspect.Signature.empty or inspect.isclass(thing) else f" -> {result}"
    line = f"{name}({', '.join(parameters)}){arrow}".replace("'", "")
    if len(line) <= 100:
        return line
    return (
        f"{name}(\n" + "".join(f"    {text},\n" for text in parameters).replace("'", "") + f"){arrow}".replace("'", "")
    )


def text_of(thing: Any) -> str:
    """Return a docstring as Markdown: blocks that are indented stay as they are, `Args:` becomes a list."""
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    text = re.sub(r"^(Args|Raises|Returns|Yields|Example):$", r"**\1**\n", text, flags=re.MULTILINE)
    text = re.sub(r"^    (\*{0,2}\w+)( \([^)]*\))?: ", r"- `\1`: ", text, flags=re.MULTILINE)
    return text.replace("<", "&lt;") if "```" not in text else text


def page() -> str:
    """Return the whole page: functions and classes first, then the tree of errors."""
    from dataplat import errors

    pieces = [HEAD]
    for name in sorted(dataplat.__all__, key=lambda n: (n != "open", n != "Lake", n != "Version", n)):
        thing = getattr(dataplat, name)
        if not (inspect.isclass(thing) and issubclass(thing, BaseException)):
            pieces.extend(described(name, thing, 2))
    tree = (errors.__doc__ or "").split("\n\n", 2)
    pieces.append(f"\n## Errors\n\n{tree[1]}\n\n```text\n{inspect.cleandoc(tree[2])}\n```\n")
    return re.sub(r"\n{3,}", "\n\n", "".join(pieces))


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, page(), check="--check" in sys.argv))
