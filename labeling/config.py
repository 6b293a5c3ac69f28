"""A label config: Label Studio's XML, read for what it asks of the data and what answers to it look like.

The tags are those of labelstud.io/tags: objects show data (`<Text name="text" value="$comment"/>`), controls take
answers about objects (`<Choices name="mood" toName="text">`), everything else shapes the page.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import LabelConfigError
from dataplat.labeling._config_fit import check_fit, fit
from dataplat.labeling._config_names import canonical_tags, check_asks, check_names
from dataplat.labeling._config_reading import (
    Control,
    Object,
    Reference,
    read_controls,
    read_objects,
    read_references,
)
from dataplat.labeling._plain_answers import PLAIN, item_of, label_of
from dataplat.labeling._xml import parse_xml
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

_DECLARATION: Final = re.compile(r"\A<\?xml[^>]*\?>\s*")

__all__ = ["Control", "Difference", "LabelConfig", "Object", "Reference"]


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
            LabelConfigError: It is no well-formed XML, has a document type, or its tags do not fit together: one that
                Label Studio has not, a name twice, a `toName` of nothing. Says the line, and what to do.
        """
        text = text.removeprefix("\ufeff").strip()
        if not text:
            raise LabelConfigError("the label config is empty: give it as XML, such as <View>…</View>")
        root = canonical_tags(parse_xml(text))
        check_names(root)
        objects = read_objects(root)
        controls = read_controls(root, objects)
        check_asks(objects, controls)
        digest = hashlib.sha256(root.canonical().encode()).hexdigest()[:16]
        text = _DECLARATION.sub("", text)  # the server refuses one in what is a text already
        return cls(text, digest, tuple(controls), tuple(objects), tuple(read_references(root)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it refers to, in the order of the XML."""
        return tuple(dict.fromkeys(each.column for each in self.references))

    @property
    def media(self) -> tuple[str, ...]:
        """The columns that are shown by fetching what they name: pictures, sounds, videos, pages by URL.

        Fields of records are not among them: they go to the page as they are.
        """
        return tuple(dict.fromkeys(each.column for each in self.references if each.media and not each.path))

    @property
    def answer(self) -> Control | None:
        """The control whose answer a plain label is: the first that is asked of the task as a whole, not of regions."""
        return next(iter(self._plain()), None)

    def check(self, schema: pa.Schema, show: Sequence[str]) -> None:
        """Hold it against the data.

        Args:
            schema: The columns there are.
            show: Those that tasks carry.

        Raises:
            LabelConfigError: It refers to a column that is not there or not shown, or to one of a kind that the tag
                does not take; says the line, with the nearest name.
        """
        check_fit(self.references, schema, show)

    def fit(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return a task's data as the server takes it: it refuses null, and numbers where a tag wants text."""
        return fit(self.references, data)

    def result_of(self, label: Any) -> list[dict[str, Any]]:
        """Return the `result` that a plain answer is: what is prefilled, or the right answer of a gold task.

        Args:
            label: What `answer` would take (a choice, several, a number, a text), or a mapping of control names to such.
                None is no answer: an empty result.

        Raises:
            LabelConfigError: No control takes such an answer.
        """
        if label is None:
            return []
        if not isinstance(label, Mapping):
            label = {self._control(None).name: label}
        return [item_of(self._control(name), each) for name, each in label.items() if each is not None]

    def label_of(self, result: Iterable[Mapping[str, Any]], control: str | None = None) -> str | None:
        """Return the plain answer in a `result`, or None where it has none: only regions, or nothing at all.

        Args:
            result: The items, as Label Studio gives them.
            control: Of which control; by default of `answer`.
        """
        return label_of(self.answer if control is None else self._control(control), result)

    def added(self, other: LabelConfig) -> Difference:
        """Return which values this has that `other` lacks, and which it lacks of `other`'s."""
        mine, theirs = (
            dict.fromkeys((control.name, value) for control in config.controls for value in control.values)
            for config in (self, other)
        )
        return Difference(
            tuple(each for each in mine if each not in theirs), tuple(each for each in theirs if each not in mine)
        )

    def _plain(self) -> list[Control]:
        return [each for each in self.controls if each.tag in PLAIN and not each.per_region]

    def _control(self, name: str | None) -> Control:
        plain = self._plain()
        if not plain:
            raise LabelConfigError(
                "the label config has no control that takes a plain answer, such as <Choices>: give regions as a result"
            )
        if name is None:
            return plain[0]
        for each in plain:
            if each.name == name:
                return each
        raise LabelConfigError(
            f"no control {name!r} that takes a plain answer{did_you_mean(name, [each.name for each in plain])}"
        )
