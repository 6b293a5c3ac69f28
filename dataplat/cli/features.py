"""`dataplat features`: the group; its commands are in the `_features_…` modules."""

from __future__ import annotations

from typing import Any

import click

from dataplat.cli._app import LazyGroup

_DECLARE, _LOOK, _TRAIN = (f"dataplat.cli._features_{name}" for name in ("declare", "look", "train"))
_SERVE, _PROVE = (f"dataplat.cli._features_{name}" for name in ("serve", "prove"))
COMMANDS: dict[str, tuple[str, str]] = {
    "plan": (f"{_DECLARE}:plan", "Show what apply would change, what it costs, and what is wrong."),
    "apply": (f"{_DECLARE}:apply", "Declare the services of a Python file: one commit."),
    "list": (f"{_LOOK}:list_", "List services and views."),
    "show": (f"{_LOOK}:show", "Show what a service or a view is."),
    "lineage": (f"{_LOOK}:lineage", "Show what it is made of, and what is made of it."),
    "retire": (f"{_DECLARE}:retire", "Take a version of a service out of use."),
    "train": (f"{_TRAIN}:train", "Make a training set: features as they were known."),
    "history": (f"{_TRAIN}:history", "Show a view's features over time."),
    "explain": (f"{_TRAIN}:explain", "Say why a feature has the value that it has."),
    "materialize": (f"{_SERVE}:materialize", "Make the snapshot that is served."),
    "get": (f"{_SERVE}:get", "Look features up, as a model does."),
    "push": (f"{_SERVE}:push", "Add rows that are served at once."),
    "rollback": (f"{_SERVE}:rollback", "Serve the snapshot before."),
    "freshness": (f"{_LOOK}:freshness", "Show how old what is served is, view by view."),
    "verify": (f"{_PROVE}:verify", "Prove that training and serving agree on your definitions."),
    "audit": (f"{_PROVE}:audit", "Hold what was served against the lake, to the last bit."),
}


@click.command("features", cls=LazyGroup, lazy=COMMANDS)
def features(**_: Any) -> None:
    """Features: declared once, the same in training and in serving, and proven so.

    Declare views and services in a Python file, `apply` it, make training sets with `train`, snapshots with `materialize`,
    and serve them with `dataplat serve`. `audit` holds what was served against the lake.
    """
