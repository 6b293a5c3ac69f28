"""A suggestion as the Python file that a user reads, changes and keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.validation.suggest._suggest import Suggested, Suggestion


def source_text(found: Suggestion) -> str:
    """Return the file; rules that raised too many false alarms are comments in it."""
    versions = "1 version" if found.versions == 1 else f"{found.versions:,} versions"
    lines = [
        f'"""Suggested by dataplat from {found.title} ({versions}, {found.rows:,} rows): read it, change it, keep it.',
        "",
        "Behind each rule: the false alarms that it would have raised, of the versions that it was tried on.",
        '"""',
        "",
        "import pandera.polars as pa",
        "import polars as pl",
        "",
        "import dataplat as dp",
        "",
        "schema = pa.DataFrameSchema(",
        "    {",
    ]
    for field in found.schema:
        if _is_pattern(field.name):
            lines.append(f"        # {field.name!r} is left out: pandera reads that name as a pattern of names")
            continue
        lines += _column(field, [rule for rule in found.rules if rule.learned.column == field.name])
    lines += ["    },", ")", "", f"{found.name} = dp.Contract(", "    schema,", "    checks=["]
    for rule in found.rules:
        if rule.learned.rule:
            lines.append(_line(8, f"{rule.learned.rule},", rule))
    lines += ["    ],", f"    name={found.name!r},", ")", ""]
    return "\n".join(lines)


def _is_pattern(name: str) -> bool:
    """Whether a name is taken for those of several columns, as Polars does, which pandera asks."""
    return name == "*" or (name.startswith("^") and name.endswith("$"))


def _column(field: pa.Field, rules: Sequence[Suggested]) -> Iterator[str]:
    import polars as pl

    dtype = pl.DataFrame(_empty(field)).dtypes[0]
    present = next((rule for rule in rules if rule.learned.kind == "not_null"), None)
    checks = [rule for rule in rules if rule.learned.field]
    yield f"        {field.name!r}: pa.Column("
    yield f"            {_code(dtype)},"
    if checks:
        yield "            ["
        for rule in checks:
            yield _line(16, f"{rule.learned.field},", rule)
        yield "            ],"
    if present is None or not present.taken:
        yield "            nullable=True," + ("" if present is None else f"  # not null: {_alarms(present)}")
    elif present.tried:
        yield f"            # not null: {_alarms(present)}"
    yield "        ),"


def _code(dtype: Any) -> str:
    """Return a Polars type as code."""
    import polars as pl

    match dtype:
        case pl.List(inner=inner):
            return f"pl.List({_code(inner)})"
        case pl.Array(inner=inner, size=size):
            return f"pl.Array({_code(inner)}, {size})"
        case pl.Struct(fields=fields):
            return f"pl.Struct({{{', '.join(f'{field.name!r}: {_code(field.dtype)}' for field in fields)}}})"
    return f"pl.{dtype!r}"


def _empty(field: pa.Field) -> Any:
    import pyarrow as pa

    return pa.table({field.name: pa.array([], field.type)})


def _line(indent: int, code: str, rule: Suggested) -> str:
    told = f"  # {_alarms(rule)}" if rule.tried else ""
    return f"{' ' * indent}{'' if rule.taken else '# '}{code}{told}"


def _alarms(rule: Suggested) -> str:
    return f"{rule.alarms:,} of {rule.tried:,} versions"
