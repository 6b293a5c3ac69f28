"""Holds the tags and names of a config together: tags that are known, names that are there once, targets that are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dataplat.errors import LabelConfigError
from dataplat.labeling._config_reading import Control, Object
from dataplat.labeling._tags import BY_LOWER, CHOICES, EXACT, KNOWN, LABELS
from dataplat.labeling._xml import Element
from dataplat.lake.schema import did_you_mean

_RAW: Final = frozenset({"HyperText", "Style"})  # what is in them is no tags of Label Studio


def canonical_tags(root: Element) -> Element:
    """Return the same tree with tags as the documentation spells them; what HyperText holds is left as it is."""
    tag = BY_LOWER.get(root.tag.lower())
    if tag is None:
        raise LabelConfigError(
            f"line {root.line}: Label Studio has no tag <{root.tag}>{did_you_mean(root.tag, sorted(KNOWN))}"
        )
    if tag != root.tag and tag in EXACT:
        raise LabelConfigError(f"line {root.line}: write <{root.tag}> as <{tag}>, or the server takes it for another")
    children = [_raw(child) if tag in _RAW else canonical_tags(child) for child in root.children]
    return Element(tag, root.attributes, root.line, children, root.pieces)


def _raw(element: Element) -> Element:
    """Return HTML in lower case, so that no tag of it is taken for one of Label Studio."""
    children = [_raw(child) for child in element.children]
    return Element(element.tag.lower(), element.attributes, element.line, children, element.pieces)


def check_names(root: Element) -> None:
    """Raise `LabelConfigError` for a name that is there twice, or a tag that speaks of a name that is not there."""
    names: dict[str, Element] = {}
    for element in root.walk():
        name = element.attributes.get("name")
        if name in names:
            first = names[name]
            raise LabelConfigError(
                f"line {element.line}: <{element.tag}> has the name {name!r} of <{first.tag}> in line {first.line}: "
                "results of the two could not be told apart; give one of them another"
            )
        if name is not None:
            names[name] = element
    for element, attribute, target in _spoken_of(root):
        if target not in names:
            blank = f": write {target.strip()!r}, without blanks" if target.strip() in names else ""
            raise LabelConfigError(
                f'line {element.line}: <{element.tag} name="{element.attributes.get("name", "")}"> has '
                f"{attribute}={target!r}, and nothing has that name{blank or did_you_mean(target, names)}"
            )


def check_asks(objects: list[Object], controls: list[Control]) -> None:
    """Raise `LabelConfigError` where nobody could answer: no control, choices without a choice, a pair that is none."""
    if not controls and not any(each.tag == "Chat" for each in objects):  # whose messages are answers
        raise LabelConfigError(
            "the label config asks nothing: it has no tag that takes answers, such as <Choices> or <Labels>"
        )
    for each in controls:
        what = "Choice" if each.tag in CHOICES else "Label"
        if each.tag in CHOICES | LABELS and not each.values and not each.dynamic:
            raise LabelConfigError(
                f'<{each.tag} name="{each.name}"> has no <{what} value="…"/>, so that there is nothing to choose from'
            )
        if each.tag == "Pairwise" and len(set(each.to_name)) != 2:
            raise LabelConfigError(
                f'<Pairwise name="{each.name}" toName="{",".join(each.to_name)}"> compares two objects: name both, as "a,b"'
            )
    if not objects and not any(each.tag == "ReactCode" for each in controls):
        raise LabelConfigError("the label config shows nothing: it has no tag such as <Text> or <Image>")


def _spoken_of(root: Element) -> Iterator[tuple[Element, str, str]]:
    for element in root.walk():
        for attribute in ("toName", "whenTagName"):
            text = element.attributes.get(attribute)
            for target in text.split(",") if text else ():
                yield element, attribute, target
