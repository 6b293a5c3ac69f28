"""`make bench`: measure all tables, or those named, print them and append them to benchmarks/RESULTS.md.

python -m benchmarks [ingest] [again] [upsert] [versions] [merge] [commits] [small_files] [stores] [kafka] [drift] [profile] [validation] [labels] [label_server] [labels_agreement] [labels_consensus] [features_lookup] [features_join] [features_windows] [features_http] [features_materialize] [features_push] [spark_join] [spark_read] [spark_write] [spark_stream] [spark_scale] [open_version] [online_stores] [startup]
                     [--small ROWS] [--large ROWS] [--files FILES] [--repeat N] [--no-slow] [--dry]

A figure that is not met is printed, not an error; a side that breaks is.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Table, keep

GROUPS = (
    "startup",
    "open_version",
    "online_stores",
    "ingest",
    "again",
    "upsert",
    "versions",
    "merge",
    "commits",
    "small_files",
    "stores",
    "kafka",
    "drift",
    "profile",
    "validation",
    "labels",
    "label_server",
    "labels_agreement",
    "labels_consensus",
    "features_lookup",
    "features_join",
    "features_windows",
    "features_http",
    "features_materialize",
    "features_push",
    "spark_join",
    "spark_read",
    "spark_write",
    "spark_stream",
    "spark_scale",
)


def main() -> int:
    usual = Settings()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all without")
    parser.add_argument("--small", type=int, default=usual.small, metavar="ROWS")
    parser.add_argument("--large", type=int, default=usual.large, metavar="ROWS")
    parser.add_argument("--files", type=int, default=usual.files, metavar="FILES", help="in the folder of small files")
    parser.add_argument("--repeat", type=int, default=usual.repeat, metavar="N")
    parser.add_argument("--no-slow", action="store_true", help="leave out dlt, delta-rs and DVC, which take minutes")
    parser.add_argument("--dry", action="store_true", help="print only, keep nothing in RESULTS.md")
    given = parser.parse_args()
    unknown = set(given.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    settings = Settings(given.small, given.large, given.repeat, not given.no_slow, given.files)
    tables: list[Table] = []
    for group in given.groups or GROUPS:
        print(f"{group}:", flush=True)
        tables += importlib.import_module(f"benchmarks.{group}").tables(settings)
    print("\n" + "\n".join(table.markdown() for table in tables))
    if not given.dry:
        keep(tables, str(settings))
    return 1 if any(line.reached == NOT_MEASURED for table in tables for line in table.lines) else 0


if __name__ == "__main__":
    sys.exit(main())
