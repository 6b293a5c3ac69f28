"""dlt to a folder of Parquet files, by its row (JSON) path. FILE FOLDER."""

import os
import sys
from pathlib import Path


def main() -> None:
    source, folder = map(Path, sys.argv[1:])
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    os.environ["DLT_DATA_DIR"] = str(folder / "work")  # read when dlt is imported

    import dlt
    from dlt.destinations import filesystem
    from dlt.sources.filesystem import filesystem as files
    from dlt.sources.filesystem import read_csv, read_jsonl

    reader = read_csv if source.suffix == ".csv" else read_jsonl
    rows = files(bucket_url=source.parent.as_uri(), file_glob=source.name) | reader()
    pipeline = dlt.pipeline("bench", destination=filesystem(bucket_url=(folder / "out").as_uri()), dataset_name="d")
    pipeline.run(rows.with_name("rows"), loader_file_format="parquet")


if __name__ == "__main__":
    main()
