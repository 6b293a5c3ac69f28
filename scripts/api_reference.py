"""Write docs/reference/python.md from the public names; `--check` fails if it is not up to date."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
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
    if inspect.isfunction(thing) or is_dataclass(thing):  # other classes are not made by users
        yield f"\n```text\n{signature(name, thing)}\n```\n"
    yield f"\n{text_of(thing)}\n"
    if inspect.isclass(thing) and not issubclass(thing, BaseException):
        for member, value in members(thing):
            yield from described(f"{name}.{member}", value, depth + 1)


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class has from itself and the private modules that it is split into."""
    parts = [base for base in kind.__mro__ if base is kind or base.__module__.startswith("dataplat._")]
    for name, value in (member for base in parts for member in vars(base).items()):
        plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        shown = inspect.isfunction(plain) or isinstance(plain, property) or hasattr(plain, "attrname")
        if not name.startswith("_") and shown and text_of(plain):
            yield name, plain


def signature(name: str, thing: Any) -> str:
    """Return `name(arguments) -> result` as it is written, wrapped by argument where it is long."""
    found = inspect.signature(thing)
    pieces: list[str] = []
    for parameter in found.parameters.values():
        if parameter.name == "self":
            continue
        starred = any(piece.startswith("*") for piece in pieces)
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            pieces.append("*")
        pieces.append(argument(parameter))
    made = inspect.isclass(thing) or found.return_annotation is inspect.Signature.empty
    arrow = "" if made else f" -> {written(found.return_annotation)}"
    line = f"{name}({', '.join(pieces)}){arrow}"
    return line if len(line) <= 90 else f"{name}(\n" + "".join(f"    {piece},\n" for piece in pieces) + f"){arrow}"


def argument(parameter: inspect.Parameter) -> str:
    """Return one parameter as it is written."""
    stars: dict[Any, str] = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
    star = stars.get(parameter.kind, "")
    text: str = star + parameter.name
    typed = parameter.annotation is not parameter.empty
    if typed:
        text += f": {written(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return text
    default = "…" if "factory" in repr(parameter.default) else repr(parameter.default)
    return text + (f" = {default}" if typed else f"={default}")


def written(annotation: Any) -> str:
    """Return an annotation as it is in the source."""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def text_of(thing: Any) -> str:
    """Return a docstring as Markdown: blocks that are indented stay as they are, `Args:` becomes a list."""
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    text = re.sub(r"^(Args|Raises|Returns|Yields|Example):$", r"**\1**\n", text, flags=re.MULTILINE)
    text = re.sub(r"^    (\*{0,2}\w+)( \([^)]*\))?: ", r"- `\1`: ", text, flags=re.MULTILINE)
    outside = re.split(r"(`[^`]*`)", text)  # odd ones are code, which Markdown leaves alone
    return "".join(piece if i % 2 else piece.replace("<", "&lt;") for i, piece in enumerate(outside))


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
