"""Turns a plain answer, such as the text of a choice, into a `result` of Label Studio, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import LabelConfigError

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
}  # the tags that give one, and the field of `value` that holds it


def result_of(control: Control | None, label: Any) -> list[dict[str, Any]]:
    """Return the result that `label` is as an answer of `control`."""
    if control is None:
        raise LabelConfigError("the config has no control that takes a plain answer, such as <Choices>")
    if label is None:
        return []
    value: Any = label
    if control.tag == "Choices":
        value = [str(each) for each in label] if isinstance(label, list | tuple) else [str(label)]
    field = PLAIN[control.tag]
    return [
        {
            "id": control.name,
            "from_name": control.name,
            "to_name": ",".join(control.to_name),
            "type": control.type,
            "value": {field: value},
        }
    ]


def label_of(control: Control | None, result: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the plain answer that `control` got in `result`."""
    if control is None:
        return None
    for item in result:
        if item.get("from_name") == control.name:
            value = item.get("value", {}).get(PLAIN[control.tag])
            return "|".join(sorted(value)) if isinstance(value, list) else None if value is None else str(value)
    return None
