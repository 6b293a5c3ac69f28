"""Looks up rows by where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from dataplat.validation._rows import as_frame, examples
from dataplat.validation.report import Example
from dataplat.validation.subject import ROW, Block, Subject


def with_keys(subject: Subject, found: Sequence[Example], key: Sequence[str]) -> tuple[Example, ...]:
    """Return examples with the key columns of their rows, which are read in the blocks that hold them."""
    wanted: dict[str | None, set[int]] = {}
    for example in found:
        if example.position is not None:
            wanted.setdefault(example.part, set()).add(example.position)
    if not key or not wanted:
        return tuple(found)
    keys: dict[tuple[str | None, int | None], tuple[tuple[str, str | None], ...]] = {}
    for block in subject.blocks:
        positions = wanted.get(block.name)
        if positions:
            keys |= {(block.name, row): named for row, named in _keys_at(block, positions, key).items()}
    return tuple(replace(each, key=keys.get((each.part, each.position), ())) for each in found)


def _keys_at(block: Block, positions: set[int], key: Sequence[str]) -> Mapping[int, tuple[tuple[str, str | None], ...]]:
    shown: dict[int, tuple[tuple[str, str | None], ...]] = {}
    for rows, frame in _rows_at(block, positions, list(key)):
        named = examples(rows, pl.repeat(None, frame.height, dtype=pl.String, eager=True), frame)
        shown |= {row: each.key for row, each in zip(rows, named, strict=True)}
    return shown


def _rows_at(block: Block, positions: set[int], columns: list[str]) -> Iterator[tuple[list[int], pl.DataFrame]]:
    wanted = np.array(sorted(positions))
    left = len(wanted)
    for unit in block.units(columns):
        for batch in unit.read():
            at = np.flatnonzero(np.isin(np.asarray(batch.column(ROW)), wanted))
            if len(at):
                yield np.asarray(batch.column(ROW))[at].tolist(), as_frame(batch, columns)[at]
                left -= len(at)
        if left <= 0:
            return
