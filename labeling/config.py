"""A label config: Label Studio's XML, read for what it asks of the data and what answers to it look like.

The tags are those of labelstud.io/tags: objects show data (`<Text name="text" value="$comment"/>`), controls take
answers about objects (`<Choices name="mood" toName="text">`), everything else shapes the page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dataplat.errors import LabelConfigError
from dataplat.labeling._config_fit import check_fit
from dataplat.labeling._config_reading import (
    Control,
    Object,
    Reference,
    check_names,
    read_controls,
    read_objects,
    read_references,
)
from dataplat.labeling._plain_answers import PLAIN, label_of, result_of
from dataplat.labeling._xml import parse_xml

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Control", "Difference", "LabelConfig", "Object"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Pairs of (control, value): those that a config gained over another, and those that it lost."""

    new: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """A label config, read; make one with `LabelConfig.from_xml`.

    Attributes:
        xml: the text, as the server gets it.
        id: 16 hex digits, equal for configs that differ in white space, comments and order of attributes only.
        controls: the tags that take answers, in order.
        objects: the tags that show data, in order.
        references: each `$column`, in order.
    """

    xml: str
    id: str
    controls: tuple[Control, ...]
    objects: tuple[Object, ...]
    references: tuple[Reference, ...] = field(repr=False)

    @classmethod
    def from_xml(cls, text: str) -> LabelConfig:
        """Read a config.

        Raises:
            LabelConfigError: It is no well-formed XML, or tags do not fit together; says the line, and what to do.
        """
        text = text.removeprefix("\ufeff").strip()
        if not text:
            raise LabelConfigError("the label config is empty: give it as XML, such as <View>…</View>")
        root = parse_xml(text)
        objects, controls = read_objects(root), read_controls(root)
        check_names(root, objects, controls)
        digest = hashlib.sha256(root.canonical().encode()).hexdigest()[:16]
        return cls(text, digest, tuple(controls), tuple(objects), tuple(read_references(root)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it refers to, in the order of the XML."""
        return tuple(dict.fromkeys(each.column for each in self.references))

    @property
    def media(self) -> tuple[str, ...]:
        """The columns that are shown by fetching what they name: pictures, sounds, pages by URL."""
        return tuple(dict.fromkeys(each.column for each in self.references if each.media))

    @property
    def answer(self) -> Control | None:
        """The control whose answer a plain label is: the first that is asked of the task as a whole, not of regions."""
        return next((each for each in self.controls if each.tag in PLAIN and not each.per_region), None)

    def check(self, schema: pa.Schema, show: Sequence[str]) -> None:
        """Hold it against the data.

        Raises:
            LabelConfigError: It refers to a column that is not there or not shown, or shows one of an unfit type.
        """
        check_fit(self.references, schema, show)

    def result_of(self, label: Any) -> list[dict[str, Any]]:
        """Return the `result` that a plain answer is: for predictions and the right answers of gold tasks.

        Raises:
            LabelConfigError: No control takes such an answer.
        """
        return result_of(self.answer, label)

    def label_of(self, result: Sequence[Mapping[str, Any]]) -> str | None:
        """Return the plain answer in a `result`, or None where it has none (regions only, or nothing at all)."""
        return label_of(self.answer, result)

    def added(self, other: LabelConfig) -> Difference:
        """Return which values this has that `other` lacks, and which it lacks of `other`'s."""
        mine, theirs = (
            dict.fromkeys((control.name, value) for control in config.controls for value in control.values)
            for config in (self, other)
        )
        return Difference(
            tuple(each for each in mine if each not in theirs), tuple(each for each in theirs if each not in mine)
        )
