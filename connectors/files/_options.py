"""How files are to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How files are to be read.

    `schema` gives the types of columns; a value that does not fit is a reject. `extra` says what to do with
    columns that are not in it. `null_words` are texts that mean null in delimited files, beside the empty
    unquoted field. `format` overrules the file name. `delimiter` and `columns` (names, for files without a header
    line) overrule what is sniffed. `sheet` chooses a sheet of a workbook by name. `on_error="fail"`
    makes the first reject a `SourceError`.
    """

    schema: pa.Schema | None = None
    extra: Literal["keep", "error"] = "keep"
    null_words: tuple[str, ...] = ()
    on_error: Literal["reject", "fail"] = "reject"
    format: str | None = None
    delimiter: str | None = None
    columns: tuple[str, ...] | None = None
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class Typing:
    """The types to read with: `fixed` columns were asked for (a misfit is a reject), the others may widen.

    With `settle` a wider type is not asked for before the rest of the text was looked at as well.
    """

    schema: pa.Schema
    fixed: frozenset[str] = frozenset()
    settle: bool = False
