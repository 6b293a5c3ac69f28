"""Finds in a config what data and answers depend on: objects, controls, and what refers to which column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dataplat.errors import LabelConfigError
from dataplat.labeling._tags import BY_URL, CHOICES, CONTROLS, KNOWN, LABELS, MEDIA, OBJECTS
from dataplat.labeling._xml import Element

# What the editor replaces by data: `$name`, `$name.field`, `$name[0]`; ASCII alone, as its own expression.
REFERENCE: Final = re.compile(r"\$([A-Za-z0-9_]+)((?:\.[A-Za-z0-9_]+|\[[^\]]*\])*)")
_REPLACED: Final = ("audioUrl", "data", "frameRate", "hint", "html", "on", "src", "value", "valueList")
_ADDRESSES: Final = ("audioUrl", "src")
_TEXT: Final = "text"  # how what stands between the tags is called in messages


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
        per_region: whether it is asked of each region or item, not of the task.
        dynamic: the column that values come from besides, task by task, or the address (`apiUrl`).
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
    """One `$column` in a config.

    Attributes:
        column: the column.
        path: what follows, such as `.author` or `[0]`.
        tag: the tag that refers to it, of that `name`, in that `line`.
        attribute: where in the tag.
        text: all of the attribute; `whole` says that it is the reference alone.
        media: whether what it names is fetched by URL.
    """

    column: str
    path: str
    tag: str
    name: str | None
    line: int
    attribute: str
    text: str
    whole: bool
    media: bool

    def __str__(self) -> str:
        """Say where it stands."""
        name = f' name="{self.name}"' if self.name else ""
        return f"line {self.line}: <{self.tag}{name}> refers to ${self.column}{self.path} in its {self.attribute}"


def read_objects(root: Element) -> list[Object]:
    """Return the objects, in order."""
    return [_object(element) for element in root.walk() if element.tag in OBJECTS]


def read_controls(root: Element, objects: Sequence[Object]) -> list[Control]:
    """Return the controls, in order."""
    return [_control(element, objects) for element in root.walk() if element.tag in CONTROLS]


def read_references(root: Element) -> list[Reference]:
    """Return all references to columns, in order."""
    return [each for element in root.walk() for each in _references(element)]


def name_of(element: Element) -> str:
    """Return the name by which results refer to a tag."""
    name = element.attributes.get("name", "")
    if not name:
        raise LabelConfigError(f"line {element.line}: <{element.tag}> has no name, by which results refer to it")
    return name


def _object(element: Element) -> Object:
    name = name_of(element)
    if not (element.attributes.get("value") or element.attributes.get("valueList")):
        raise LabelConfigError(
            f'line {element.line}: <{element.tag} name="{name}"> has no value: say what it shows, as value="$column"'
        )
    return Object(name, element.tag, _shown(element), _is_media(element))


def _control(element: Element, objects: Sequence[Object]) -> Control:
    name = name_of(element)
    per_region = any(element.get(each) == "true" for each in ("perRegion", "perItem")) or "{{" in name
    return Control(
        name=name,
        to_name=_targets(element, objects),
        tag=element.tag,
        type=element.tag.lower(),
        values=_values(element),
        multiple=element.get("choice") == "multiple" or element.tag == "Taxonomy",
        per_region=per_region,
        dynamic=_shown(element) or element.get("apiUrl"),
    )


def _targets(element: Element, objects: Sequence[Object]) -> tuple[str, ...]:
    """Return what a control speaks of. The editor takes the only object where nothing is said; the server then refuses predictions."""
    text = element.attributes.get("toName", "")
    if text:
        return tuple(text.split(","))
    if element.tag == "ReactCode":  # it shows what it asks of
        return (name_of(element),)
    spelt = next((each for each in element.attributes if each.lower() == "toname"), None)
    meant = f', toName="{objects[0].name}"' if len(objects) == 1 else ""
    raise LabelConfigError(
        f'line {element.line}: <{element.tag} name="{name_of(element)}"> has no toName: '
        + (f"write {spelt} as toName" if spelt else f"give the name of what it speaks of{meant}")
    )


def _values(element: Element) -> tuple[str, ...]:
    wanted = "Choice" if element.tag in CHOICES else "Label" if element.tag in LABELS else None
    if wanted is None:
        return ()
    found: dict[str, None] = {}
    for path, line in _paths(element, wanted, ()):
        if path in found:
            raise LabelConfigError(
                f'line {line}: {path!r} is there twice in <{element.tag} name="{element.attributes["name"]}">: '
                "take one away, or give it an alias"
            )
        found[path] = None
    return tuple(found)


def _paths(element: Element, wanted: str, above: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yield the values below, with their lines; those within a value, as taxonomies have them, with the path to it."""
    for child in element.children:
        below = above
        if child.tag == wanted:
            value = child.attributes.get("alias") or child.attributes.get("value")
            if not value:
                raise LabelConfigError(f'line {child.line}: <{child.tag}> has no value: write <{child.tag} value="…"/>')
            below = (*above, value)
            yield " / ".join(below), child.line
        yield from _paths(child, wanted, below)


def _shown(element: Element) -> str | None:
    """Return the column that the value of a tag refers to."""
    wanted = {"value", "valueList", "data", _TEXT}
    return next((each.column for each in _references(element) if each.attribute in wanted), None)


def _is_media(element: Element) -> bool:
    kind = element.get("valueType")
    return element.tag in MEDIA or kind == "url" or (element.tag in BY_URL and kind is None)


def _references(element: Element) -> Iterator[Reference]:
    name = element.attributes.get("name")
    for attribute, text in _replaced(element):
        whole = REFERENCE.fullmatch(text) is not None
        media = attribute in _ADDRESSES or (attribute in {"value", "valueList", _TEXT} and _is_media(element))
        for match in REFERENCE.finditer(text):
            yield Reference(match[1], match[2], element.tag, name, element.line, attribute, text, whole, media)


def _replaced(element: Element) -> Iterator[tuple[str, str]]:
    """Yield where a tag may refer to data: attributes that are shown, others that are a reference, the text within."""
    for attribute, text in element.attributes.items():
        if attribute in _REPLACED or REFERENCE.fullmatch(text):
            yield attribute, text
    html = element.tag == "HyperText" or element.tag not in KNOWN
    if element.text and (html or not element.children) and element.tag != "Style":
        yield _TEXT, element.text
