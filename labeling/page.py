"""A queue as a page: how far it is, who answered, which labels were given, and answers as people drew them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from dataplat.labeling import _drawn
from dataplat.labeling.export._labelled import Answer, Labelled, Labels
from dataplat.validation import _page as page_of
from dataplat.validation._page import Html, cards, contents, meter, section, table, tag, text

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.labeling.config import LabelConfig

_SHOWN: Final = 24
_PICTURES: Final = frozenset({"Image"})
_TEXTS: Final = frozenset({"Text"})


def page(
    queue: str,
    *,
    tasks: pa.Table,
    annotations: pa.Table,
    regions: pa.Table,
    config: LabelConfig,
    picture: Callable[[dict[str, Any], str], str | None] | None = None,
    figures: Sequence[tuple[str, str]] = (),
    shown: int = _SHOWN,
) -> str:
    """Return one HTML document that needs no network.

    Tasks on which people differ come first, then the others in the order of the queue.

    Args:
        queue: its name.
        tasks: `NAME.tasks`.
        annotations: `NAME.annotations`.
        regions: `NAME.regions`.
        config: the label config.
        picture: gives the address that holds a task's picture (`data:image/…`) from its row of `tasks` and a column;
            without it, pictures that the tasks hold themselves are shown, and of others only what was drawn.
        figures: what is to stand at the top besides, such as agreement, as (what, figure).
        shown: how many tasks are shown with their answers.
    """
    differ = _differ(regions)
    chosen = _chosen(tasks, annotations, differ, shown)
    gallery = _gallery(chosen, annotations, regions, config, picture or _held, differ)
    skips = _skips(annotations)
    parts = [
        ("annotators", "Who answered", _annotators(annotations)),
        ("labels", "Labels", _labels(regions)),
        *([("skips", "Why tasks were skipped", skips)] if skips else []),
        ("answers", "Answers", gallery or Html('<p class="soft">Nobody has answered yet.</p>')),
    ]
    body = (
        f"<style>{_drawn.STYLE}</style><h1>{text(queue)}</h1>{_cards(tasks, annotations, differ, figures)}"
        + contents("Sections", [(id, name) for id, name, _ in parts])
        + "".join(section(name, html, id=id) for id, name, html in parts)
    )
    return page_of.document(f"{queue}: labels", body)


def _cards(tasks: pa.Table, annotations: pa.Table, differ: set[str], figures: Sequence[tuple[str, str]]) -> Html:
    import pyarrow.compute as pc

    answered = len(set(annotations.filter(pc.invert(annotations["skipped"]))["task"].to_pylist()))
    skipped = pc.sum(annotations["skipped"]).as_py() or 0
    items: list[tuple[str, str, str]] = [
        ("tasks", f"{tasks.num_rows:,}", ""),
        ("answered", f"{answered:,}", "good" if answered and answered == tasks.num_rows else ""),
        ("answers", f"{annotations.num_rows - skipped:,}", ""),
        ("skipped", f"{skipped:,}", "warn" if skipped else ""),
        ("people differ on", f"{len(differ):,}", "warn" if differ else ""),
    ]
    return cards([*items, *((what, figure, "") for what, figure in figures)])


def _differ(regions: pa.Table) -> set[str]:
    """Return the tasks of which one control was answered with different choices."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = regions.filter(pc.and_(pc.is_null(regions["start"]), pc.is_null(regions["x"])))
    words = pc.fill_null(pc.binary_join(whole["labels"], "|"), "")
    given = pa.table({"task": whole["task"], "control": whole["from_name"], "words": words})
    given = given.filter(pc.not_equal(given["words"], ""))
    found = given.group_by(["task", "control"]).aggregate([("words", "count_distinct")])
    return set(found.filter(pc.greater(found["words_count_distinct"], 1))["task"].to_pylist())


def _chosen(tasks: pa.Table, annotations: pa.Table, differ: set[str], shown: int) -> pa.Table:
    """Return the tasks that are shown: answered ones, those on which people differ first."""
    import pyarrow as pa
    import pyarrow.compute as pc

    answers = annotations.filter(pc.invert(annotations["skipped"]))
    there = tasks.filter(pc.is_in(tasks["task"], answers["task"].combine_chunks()))
    first = pc.is_in(there["task"], pa.array(sorted(differ), pa.string()))
    there = there.append_column("differ", first).sort_by([("differ", "descending"), ("position", "ascending")])
    return there.drop_columns(["differ"]).slice(0, shown)


def _annotators(annotations: pa.Table) -> Html:
    import pyarrow.compute as pc

    skipped = pc.cast(annotations["skipped"], "int64")
    grouped = annotations.set_column(annotations.schema.get_field_index("skipped"), "skipped", skipped)
    found = grouped.group_by("annotator").aggregate(
        [("annotation", "count"), ("skipped", "sum"), ("lead_time", "approximate_median"), ("updated_at", "max")]
    )
    rows = [
        [
            row["annotator"] or "nobody any more", f"{row['annotation_count'] - row['skipped_sum']:,}",
            f"{row['skipped_sum']:,}", _seconds(row["lead_time_approximate_median"]),
            "" if row["updated_at_max"] is None else f"{row['updated_at_max']:%Y-%m-%d %H:%M} UTC",
        ]
        for row in sorted(found.to_pylist(), key=lambda row: -row["annotation_count"])
    ]  # fmt: skip
    heads = ["annotator", "answers", "skipped", "time for one (median)", "last"]
    return table("Who answered, and how long an answer took", heads, rows, numbers=[1, 2, 3], seen=False)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f} s"


def _labels(regions: pa.Table) -> Html:
    """Return how often each label was given, control by control."""
    import pyarrow as pa
    import pyarrow.compute as pc

    at = pc.list_parent_indices(regions["labels"])
    flat = pa.table({"control": regions["from_name"].take(at), "label": pc.list_flatten(regions["labels"])})
    found = flat.group_by(["control", "label"]).aggregate([([], "count_all")]).to_pylist()
    most = max((row["count_all"] for row in found), default=1)
    rows = [
        [
            row["control"] or "", _drawn.name_of(row["label"] or ""), f"{row['count_all']:,}",
            meter(row["count_all"] / most, f"{row['label']}: {row['count_all']:,}"),
        ]
        for row in sorted(found, key=lambda row: (row["control"] or "", -row["count_all"], row["label"] or ""))
    ]  # fmt: skip
    return table("How often each label was given", ["control", "label", "given", ""], rows, numbers=[2], seen=False)


def _skips(annotations: pa.Table) -> Html:
    import pyarrow.compute as pc

    skipped = annotations.filter(annotations["skipped"])
    if not skipped.num_rows:
        return Html("")
    found = pc.value_counts(pc.fill_null(skipped["reason"], "no reason given")).to_pylist()
    rows = [[row["values"], f"{row['counts']:,}"] for row in sorted(found, key=lambda row: -row["counts"])[:_SHOWN]]
    return table("Why tasks were skipped", ["reason", "times"], rows, numbers=[1], seen=False)


def _held(task: dict[str, Any], column: str) -> str | None:
    """Return the address of a picture that the task itself holds."""
    value = json.loads(task["data"] or "{}").get(column)
    return value if isinstance(value, str) and value.startswith("data:image/") else None


def _gallery(
    chosen: pa.Table,
    annotations: pa.Table,
    regions: pa.Table,
    config: LabelConfig,
    picture: Callable[[dict[str, Any], str], str | None],
    differ: set[str],
) -> Html:
    import pyarrow.compute as pc

    wanted = chosen["task"].combine_chunks()
    answers, marks = (table.filter(pc.is_in(table["task"], wanted)) for table in (annotations, regions))
    rows = {row["task"]: row for row in chosen.to_pylist()}
    made = {
        each.task: _asked(each, rows[each.task], config, picture) for each in Labels(chosen, answers, marks, config)
    }
    heads = {task: tag("people differ", "warn") if task in differ else "" for task in made}
    return Html(
        "".join(
            f'<article class="asked"><h3>Task {rows[task]["position"]:,} {heads[task]} '
            f'<code class="soft">{text(task[:12])}</code></h3>{made[task]}</article>'
            for task in rows
            if task in made
        )
    )


def _asked(
    labelled: Labelled, row: dict[str, Any], config: LabelConfig, picture: Callable[[dict[str, Any], str], str | None]
) -> Html:
    """Return a task with its answers: what is not marked in is shown once, what is with each answer."""
    once, each = [], []
    for shown in config.objects:
        value = labelled.data.get(shown.column or "")
        if shown.tag in _PICTURES and shown.column:
            each.append((shown.name, picture(row, shown.column), True, _words(value)))
        elif shown.tag in _TEXTS and isinstance(value, str):
            each.append((shown.name, value, False, ""))
        elif value is not None:
            once.append(f'<p><span class="soft">{text(shown.column)}</span> {text(_words(value), 600)}</p>')
    answers = "".join(_answer(answer, each) for answer in labelled.answers)
    return Html("".join(once) + f'<div class="grid">{answers}</div>')


def _answer(answer: Answer, shown: Sequence[tuple[str, str | None, bool, str]]) -> Html:
    drawn = []
    for name, value, is_picture, what in shown:
        marks = [mark for mark in answer.marks if mark.row["to_name"] == name]
        if is_picture:
            drawn.append(_drawn.picture(value, [mark for mark in marks if mark.drawn], what))
        else:
            drawn.append(_drawn.spans(value or "", marks))
    who = answer.row["annotator"] or "nobody any more"
    truth = f" {tag('ground truth', 'good')}" if answer.row["ground_truth"] else ""
    took = f" · {_seconds(answer.row['lead_time'])}" if answer.row["lead_time"] is not None else ""
    return Html(
        f"<figure>{''.join(drawn)}{_drawn.said(answer)}<figcaption>{text(who)}{took}{truth}</figcaption></figure>"
    )


def _words(value: Any) -> str:
    if isinstance(value, str):
        return "a picture" if value.startswith("data:") else value
    return json.dumps(value, ensure_ascii=False)
