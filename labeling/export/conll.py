"""CoNLL, for spans in texts: `train.conll`, a token a line with its tag (BIO), documents and lines parted as in CoNLL-2003.

Tokens are words and single signs, cut besides where a span begins or ends, so that no span grows or shrinks. Where two
spans overlap the longer one is written: the format has one tag a token.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from dataplat.errors import ConfigError
from dataplat.labeling.export._exported import Exported
from dataplat.labeling.export._labelled import Labelled, Labels

_TOKEN: Final = re.compile(r"\w+|[^\w\s]")
Span = tuple[int, int, str]


def write(folder: Path, labels: Labels) -> Exported:
    """Write the text of each task, tagged as its best answer has it."""
    texts = [(each.name, each.column) for each in labels.config.objects if each.tag == "Text" and each.column]
    if not texts:
        raise ConfigError("CoNLL holds texts, and the label config shows none (no Text tag); take csv or huggingface")
    name, column = texts[0]
    left_out = Counter(labels.left_out)
    answers = marks = 0
    file = folder / "train.conll"
    with file.open("w", encoding="utf-8", newline="\n") as out:
        for task in labels:
            text = task.data.get(column)
            if not isinstance(text, str):
                left_out["tasks without a text"] += 1
                continue
            if task.answers[1:]:
                left_out["answers beside the best of their task"] += len(task.answers) - 1
            spans = _spans(task, name, text, left_out)
            out.write("-DOCSTART- O\n\n")
            out.writelines(f"{token} {tag}\n" if token else "\n" for token, tag in tagged(text, spans))
            out.write("\n")
            answers += 1
            marks += len(spans)
    return Exported("conll", (file,), answers, marks, left_out)


def _spans(task: Labelled, name: str, text: str, left_out: Counter[str]) -> list[Span]:
    """Return the spans of the text, none over another, in order."""
    found: list[Span] = []
    for mark in task.best.marks:
        start, end = mark.row["start"], mark.row["end"]
        if mark.row["to_name"] != name or start is None or end is None:
            left_out["marks that are not in the first text"] += 1
        elif not 0 <= start < end <= len(text) or not text[int(start) : int(end)].strip():
            left_out["spans without a text"] += 1
        elif not mark.labels:
            left_out["spans without a label"] += 1
        else:
            if mark.labels[1:]:
                left_out["labels beside the first of their span"] += len(mark.labels) - 1
            found.append((int(start), int(end), re.sub(r"\s+", "_", mark.labels[0])))
    kept: list[Span] = []
    for span in sorted(found, key=lambda span: (span[0] - span[1], span)):
        if all(span[1] <= other[0] or other[1] <= span[0] for other in kept):
            kept.append(span)
        else:
            left_out["spans over a longer one"] += 1
    return sorted(kept)


def tagged(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, str]]:
    """Yield tokens with their tags; an empty token where a line ends.

    Args:
        text: the text.
        spans: (start, end, label) in code points, in order, none over another.
    """
    cuts = sorted({0, len(text), *(cut for start, end, _ in spans for cut in (start, end))})
    by_start = {start: (end, label) for start, end, label in spans}
    for begin, stop in pairwise(cuts):
        _, label = by_start.get(begin, (0, ""))
        first = True
        for line, token in _tokens(text[begin:stop]):
            if line and not label:
                yield "", ""
            yield token, ("O" if not label else f"{'B' if first else 'I'}-{label}")
            first = False


def _tokens(text: str) -> Iterator[tuple[bool, str]]:
    """Yield tokens, and whether a line ended before each."""
    end = 0
    for found in _TOKEN.finditer(text):
        yield "\n" in text[end : found.start()], found[0]
        end = found.end()
