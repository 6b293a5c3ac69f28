"""Labels for others: COCO, CoNLL, CSV, and a folder for Hugging Face.

Each format takes the tables of a queue (`dataplat.labeling.tables`) and writes a folder; what a format cannot say is
counted, never dropped in silence.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from dataplat.errors import ConfigError
from dataplat.labeling.export._exported import Exported

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.labeling.config import LabelConfig

__all__ = ["FORMATS", "Exported", "Format", "export"]

Format: TypeAlias = Literal["coco", "conll", "csv", "huggingface"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)


def export(
    format: Format,
    folder: str | Path,
    *,
    tasks: pa.Table,
    annotations: pa.Table,
    regions: pa.Table,
    config: LabelConfig,
    annotator: str | None = None,
) -> Exported:
    """Write labels into a folder, which is made where it is not there.

    COCO and CoNLL hold one answer a task: the ground truth, else the one that was changed last. CSV and Hugging Face
    hold every answer. Skipped tasks are in none.

    Args:
        format: `coco` (`annotations.json`), `conll` (`train.conll`), `csv` (`labels.csv`) or `huggingface`
            (`README.md` and `data/train-*.parquet`).
        folder: where to write; files of these names are replaced.
        tasks: `NAME.tasks`.
        annotations: `NAME.annotations`, or some of them.
        regions: `NAME.regions`.
        config: the label config: which columns are shown, and which labels there are.
        annotator: only the answers of this one.

    Raises:
        ConfigError: There is no such format, or the config asks for nothing that it can hold.
    """
    from dataplat.labeling.export._labelled import Labels

    if format not in FORMATS:
        raise ConfigError(f"no such format: {format}; there are {', '.join(FORMATS)}")
    labels = Labels(tasks, annotations, regions, config, annotator)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    if format == "coco":
        from dataplat.labeling.export.coco import write
    elif format == "conll":
        from dataplat.labeling.export.conll import write
    elif format == "csv":
        from dataplat.labeling.export.csv import write
    else:
        from dataplat.labeling.export.huggingface import write
    return write(place, labels)
