r"""Turns a plain answer, such as the text of a choice, into items of a `result` of Label Studio, and back.

Several choices are one text, `a|b`, sorted; `|` and `\` within a choice are written with a `\` before them. Of a
taxonomy the steps of a path are joined by ` / `.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import LabelConfigError
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    from dataplat.labeling._config_reading import Control

PLAIN: Final[dict[str, str]] = {
    "Choices": "choices",
    "DateTime": "datetime",
    "Number": "number",
    "Pairwise": "selected",
    "Rating": "rating",
    "Taxonomy": "taxonomy",
    "TextArea": "text",
}  # the tags that give a plain answer, and the field of `value` that holds it
_STEP: Final = " / "
_BETWEEN: Final = re.compile(r"((?:[^|\\]|\\.)*)\|")


def item_of(control: Control, label: Any) -> dict[str, Any]:
    """Return the item of a result that `label` is as an answer of `control`.

    Raises:
        LabelConfigError: It takes no such answer.
    """
    return {
        "id": hashlib.sha256(control.name.encode()).hexdigest()[:10],
        "from_name": control.name,
        "to_name": control.to_name[
            0
        ],  # also of a pair: the editor writes its own name, which the server refuses of others
        "type": control.type,
        "value": {PLAIN[control.tag]: _value(control, label)},
    }


def label_of(control: Control | None, result: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the plain answer that `control` got in `result`, or None where it got none (or one that cannot be read)."""
    if control is None:
        return None
    field = PLAIN[control.tag]
    value = None
    for item in result:
        given = item.get("value") if item.get("from_name") == control.name else None
        if isinstance(given, Mapping) and given.get(field) not in (None, []):
            value = given[field]
    if value is None:
        return None
    if control.tag in {"Choices", "Taxonomy"}:
        return joined(_text(each) for each in _listed(value))
    if control.tag == "TextArea":
        return "\n".join(map(_text, _listed(value)))
    return _text(value)


def joined(labels: Iterable[str]) -> str:
    """Return several choices as one text."""
    return "|".join(sorted({re.sub(r"([|\\])", r"\\\1", label) for label in labels}))


def parted(text: str) -> list[str]:
    """Return the choices of a text: the reverse of `joined`."""
    return [re.sub(r"\\(.)", r"\1", each) for each in _BETWEEN.findall(text + "|")]


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    """Return the text of one value: 4 and 4.0 are `4`, a path is its steps."""
    if isinstance(value, list | tuple):
        return _STEP.join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    return str(value)


def _value(control: Control, label: Any) -> Any:
    match control.tag:
        case "Choices":
            return [_choice(control, each) for each in _several(control, label)]
        case "Taxonomy":
            return [_choice(control, each).split(_STEP) for each in _several(control, label)]
        case "Pairwise":
            return _side(control, label)
        case "Rating" | "Number":
            return _number(control, label)
        case "TextArea":
            return [_text(each) for each in _listed(label)]
        case _:
            return _text(label)


def _several(control: Control, label: Any) -> Sequence[Any]:
    """Return the choices in a label: a list of them, or a text of one or several."""
    if control.tag == "Taxonomy" and isinstance(label, list | tuple) and all(isinstance(each, str) for each in label):
        several: Sequence[Any] = label if all(each in control.values for each in label) else [label]
    elif isinstance(label, list | tuple | set | frozenset):
        several = sorted(label) if isinstance(label, set | frozenset) else label
    else:
        text = _text(label)
        several = [text] if text in control.values or not control.multiple else parted(text)
    if len(several) > 1 and not control.multiple:
        raise LabelConfigError(
            f'<{control.tag} name="{control.name}"> takes one answer, not {len(several)} ({", ".join(map(_text, several))}); '
            'choice="multiple" takes several'
        )
    return several


def _choice(control: Control, label: Any) -> str:
    text = _text(label)
    if text in control.values or control.dynamic:
        return text
    raise LabelConfigError(
        f'{text!r} is no choice of <{control.tag} name="{control.name}">{did_you_mean(text, control.values)}'
    )


def _side(control: Control, label: Any) -> str:
    sides = {"left": "left", "right": "right", control.to_name[0]: "left", control.to_name[1]: "right"}
    text = _text(label)
    if text not in sides:
        raise LabelConfigError(
            f'{text!r} is no side of <Pairwise name="{control.name}">: give left, right, or the name of an object'
        )
    return sides[text]


def _number(control: Control, label: Any) -> int | float:
    try:
        number = float(label)
        whole = int(number)
    except (TypeError, ValueError, OverflowError) as error:
        raise LabelConfigError(f'<{control.tag} name="{control.name}"> takes a number, not {label!r}') from error
    if control.tag == "Rating" and whole != number:
        raise LabelConfigError(f'<Rating name="{control.name}"> takes a whole number, not {label!r}')
    return whole if whole == number else number
