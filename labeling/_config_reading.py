"""Finds in a config what data and answers depend on: objects, controls, and what refers to which column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dataplat.errors import LabelConfigError
from dataplat.labeling._tags import BY_URL, CHOICES, CONTROLS, KNOWN, LABELS, MEDIA, OBJECTS
from dataplat.labeling._xml import Element
from dataplat.lake.schema import did_you_mean

_REFERENCE: Final = re.compile(r"\$([A-Za-z0-9_]+)((?:\.[A-Za-z0-9_]+|\[[^\]]*\])*)")  # the editor's own: ASCII
_SHOWN: Final = ("value", "valueList", "audioUrl", "on", "html", "data", "src", "frameRate", "hint")
_MANY: Final = frozenset({"multiple"})


@dataclass(frozen=True, slots=True)
class Object:
    """A tag that shows data. `column` is what it refers to (None: a fixed text); `media` says it is fetched by URL."""

    name: str
    tag: str
    column: str | None
    media: bool


@dataclass(frozen=True, slots=True)
class Control:
    """A tag that takes answers.

    Attributes:
        name: the `from_name` of its results.
        to_name: the objects that it speaks of.
        tag: as in the XML, `Choices`.
        type: as in results, `choices`.
        values: the choices or labels, as results hold them (an alias where there is one); of a taxonomy the paths,
            joined by ` / `.
        multiple: whether an answer may hold several of them.
        per_region: whether it is asked of each region, not of the task.
        dynamic: the column that values come from besides, task by task.
    """

    name: str
    to_name: tuple[str, ...]
    tag: str
    type: str
    values: tuple[str, ...] = ()
    multiple: bool = False
    per_region: bool = False
    dynamic: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """One `$column` in a config: which tag and attribute, at which line; `path` is what follows, such as `.author`."""

    column: str
    path: str
    tag: str
    attribute: str
    name: str | None
    line: int
    whole: bool
    media: bool

    @property
    def where(self) -> str:
        """Say where it stands."""
        name = f' name="{self.name}"' if self.name else ""
        return f"line {self.line}: <{self.tag}{name}> refers to ${self.column}{self.path} in {self.attribute}"


def read_objects(root: Element) -> list[Object]:
    """Return the objects, in order."""
    found = []
    for element in root.walk():
        if element.tag in OBJECTS and "toName" not in element.attributes:
            column = next((each.column for each in _of(element) if each.attribute in {"value", "valueList"}), None)
            found.append(Object(_name(element), element.tag, column, _is_media(element)))
    return found


def read_controls(root: Element) -> list[Control]:
    """Return the controls, in order."""
    return [_control(element) for element in root.walk() if _is_control(element)]


def read_references(root: Element) -> list[Reference]:
    """Return all references to columns, in order."""
    return [each for element in root.walk() for each in _of(element)]


def check_names(root: Element, objects: list[Object], controls: list[Control]) -> None:
    """Raise `LabelConfigError` for a tag that nobody knows, a name that is there twice, a `toName` of nothing."""
    seen: dict[str, Element] = {}
    for element in root.walk():
        if element.tag not in KNOWN:
            _refuse_misspelt(element)
        name = element.attributes.get("name")
        if name is None:
            continue
        if name in seen:
            raise LabelConfigError(
                f"line {element.line}: the name {name!r} is taken by <{seen[name].tag}> in line {seen[name].line}: "
                "results could not be told apart; give one of them another"
            )
        seen[name] = element
    names = [each.name for each in objects] + [each.name for each in controls]
    for element in root.walk():
        for target in _targets(element) if _is_control(element) else ():
            if target not in names:
                raise LabelConfigError(
                    f'line {element.line}: <{element.tag} name="{element.attributes["name"]}"> has '
                    f"toName={target!r}, but no object has that name{did_you_mean(target, names)}"
                )


def _refuse_misspelt(element: Element) -> None:
    near = next((tag for tag in KNOWN if tag.lower() == element.tag.lower()), None)
    if near is not None:
        raise LabelConfigError(f"line {element.line}: <{element.tag}> is written <{near}>")


def _is_control(element: Element) -> bool:
    return element.tag in CONTROLS or ("toName" in element.attributes and element.tag not in KNOWN)


def _control(element: Element) -> Control:
    attributes = element.attributes
    dynamic = next((each.column for each in _of(element) if each.attribute == "value"), None)
    return Control(
        _name(element),
        tuple(_targets(element)),
        element.tag,
        element.tag.lower(),
        tuple(_values(element)),
        attributes.get("choice") in _MANY or element.tag == "Taxonomy",
        attributes.get("perRegion") == "true" or attributes.get("perItem") == "true",
        dynamic,
    )


def _targets(element: Element) -> list[str]:
    text = element.attributes.get("toName", "")
    if not text.strip():
        raise LabelConfigError(
            f'line {element.line}: <{element.tag} name="{element.attributes.get("name", "")}"> has no toName: '
            "write the name of the object that it speaks of"
        )
    return [target.strip() for target in text.split(",")]


def _name(element: Element) -> str:
    name = element.attributes.get("name", "")
    if not name:
        raise LabelConfigError(f"line {element.line}: <{element.tag}> has no name: results refer to it by one")
    return name


def _values(element: Element) -> Iterator[str]:
    wanted = "Choice" if element.tag in CHOICES else "Label" if element.tag in LABELS else None
    if element.tag == "Taxonomy":
        yield from _paths(element, ())
    elif wanted:
        for child in element.walk():
            if child.tag == wanted:
                yield _value(child)


def _paths(element: Element, above: tuple[str, ...]) -> Iterator[str]:
    for child in element.children:
        if child.tag == "Choice":
            path = (*above, _value(child))
            yield " / ".join(path)
            yield from _paths(child, path)


def _value(element: Element) -> str:
    value = element.attributes.get("alias") or element.attributes.get("value")
    if not value:
        raise LabelConfigError(f"line {element.line}: <{element.tag}> has no value")
    return value


def _is_media(element: Element) -> bool:
    kind = element.attributes.get("valueType") or element.attributes.get("valuetype")
    return element.tag in MEDIA or kind == "url" or (element.tag in BY_URL and kind is None)


def _of(element: Element) -> list[Reference]:
    found = []
    for attribute, text in element.attributes.items():
        whole = _REFERENCE.fullmatch(text)
        if whole is None and attribute not in _SHOWN:
            continue
        for match in _REFERENCE.finditer(text):
            media = attribute == "audioUrl" or (attribute in {"value", "valueList"} and _is_media(element))
            name = element.attributes.get("name")
            column, path = match[1], match[2]
            found.append(Reference(column, path, element.tag, attribute, name, element.line, whole is not None, media))
    return found
