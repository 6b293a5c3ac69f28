"""`dataplat label`: the group; its commands are in the `_label_…` modules."""

from __future__ import annotations

from typing import Any

import click

from dataplat.cli._app import LazyGroup

_WORK, _JUDGE, _REPORT = "dataplat.cli._label_work", "dataplat.cli._label_judge", "dataplat.cli._label_report"
_SERVER = "dataplat.cli.label_server"
COMMANDS: dict[str, tuple[str, str]] = {
    "server": (f"{_SERVER}:server", "Run the page that annotators see, for one machine."),
    "annotator": (f"{_SERVER}:annotator", "Give people accounts."),
    "queue": ("dataplat.cli._label_queue:queue", "Make, show and change queues."),
    "push": (f"{_WORK}:push", "Put what is new before annotators."),
    "pull": (f"{_WORK}:pull", "Bring answers home, as one commit."),
    "status": (f"{_WORK}:status", "Show how far everybody is."),
    "next": (f"{_WORK}:next_", "Print the page of what an annotator answers next."),
    "close": (f"{_WORK}:close", "Pull once more, and take no more."),
    "agreement": (f"{_JUDGE}:agreement", "Show how far annotators agree."),
    "adjudicate": (f"{_JUDGE}:adjudicate", "Put what they disagree on before the one who decides."),
    "consensus": (f"{_JUDGE}:consensus", "Make one label of each task, and a dataset of the labels."),
    "errors": (f"{_REPORT}:errors", "Find labels that are probably wrong."),
    "diff": (f"{_JUDGE}:diff", "Show which labels differ between two versions."),
    "blame": (f"{_JUDGE}:blame", "Show who said what about a row, and when."),
    "cost": (f"{_REPORT}:cost", "Show how long labels took, by annotator."),
    "export": (f"{_REPORT}:export", "Write labels as COCO, CoNLL, CSV or for Hugging Face."),
    "report": (f"{_REPORT}:report", "Write a page about a queue."),
}


@click.command("label", cls=LazyGroup, lazy=COMMANDS)
def label(**_: Any) -> None:
    """Ask people about rows: queues, annotators, answers, agreement, consensus.

    A queue puts rows of a dataset before people, and brings their answers back as versions: NAME.annotations as they
    were given, NAME.regions laid flat. The page that annotators see is Label Studio.
    """
