"""From what a user gave to the definition of a queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplat._labels._state import referred
from dataplat.errors import ConfigError
from dataplat.labeling.config import LabelConfig
from dataplat.labeling.spec import QueueSpec

if TYPE_CHECKING:
    from dataplat._labels._queue import QueueOptions
    from dataplat._labels._state import State
    from dataplat._lake import Lake

_LISTS = ("show", "key", "annotators", "holdout")
_ASKED = ("choices", "template", "config")


def spec_of(lake: Lake, name: str, source: str, branch: str, options: QueueOptions) -> QueueSpec:
    """Return the definition of a new queue."""
    given: dict[str, Any] = dict(options)
    show = names_of(given.pop("show", None))
    asked = {what: given.pop(what, None) for what in _ASKED}
    if not show:
        version = referred(lake, source, branch)
        compared = asked["template"] == "pairwise"  # the first two columns are: no key is better than an answer
        show = [name for name in version.schema.names if not (compared and name in version.key)]
    config = config_of(lake, source, branch, show, asked)
    seen = LabelConfig.from_xml(config).columns  # what nobody sees may change without a question being another
    shown = tuple(name for name in show if name in seen) or tuple(show)
    return QueueSpec(name=name, source=source, show=shown, config=config, **_plain(given))


def changes_of(state: State, options: QueueOptions) -> dict[str, Any]:
    """Return what changes of a queue."""
    given: dict[str, Any] = dict(options)
    asked = {what: given.pop(what, None) for what in _ASKED}
    changes = _plain(given)
    if any(value is not None for value in asked.values()):
        show = changes.get("show", state.spec.show)
        changes["config"] = config_of(state.lake, state.spec.source, state.branch, show, asked)
    return changes


def config_of(lake: Lake, source: str, branch: str, show: Sequence[str], asked: Mapping[str, Any]) -> str:
    """Return the label config: the one given, or one made of a template or of choices."""
    from dataplat.labeling.templates import choices_config, template

    schema = referred(lake, source, branch).schema
    choices = names_of(asked["choices"])
    if asked["config"] is not None:
        if choices or asked["template"]:
            raise ConfigError("a config says what is asked: leave choices and template out")
        return _config_text(asked["config"])
    if asked["template"] is not None:
        return template(asked["template"], show, choices, schema)
    if not choices:
        raise ConfigError("say what is asked: choices, a template with choices, or a label config")
    return choices_config(show, choices, schema)


def names_of(given: Sequence[str] | str | None) -> list[str]:
    """Return names of a list, or of text with commas between them."""
    if given is None:
        return []
    return [name.strip() for name in given.split(",") if name.strip()] if isinstance(given, str) else list(given)


def _config_text(given: str | Path) -> str:
    if isinstance(given, str) and given.lstrip().startswith("<"):
        return given
    try:
        return Path(given).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the label config {given}: {error.strerror}") from error


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    known = set(QueueSpec.__struct_fields__)
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"a queue has no option {name!r}")
        changes[name] = tuple(names_of(value)) if name in _LISTS else value
    order = changes.get("order")
    if order is not None and not isinstance(order, dict):
        changes["order"] = order.to_dict()
    return changes
