"""delta-rs: `race TABLE PROCESSES APPENDS`: all processes append ten rows at a time, with its own retries."""

import sys

import _race


def begin(table, number):
    from deltalake import DeltaTable, write_deltalake

    small = _race.rows(number)
    DeltaTable(table)
    return lambda: write_deltalake(table, small, mode="append")


if __name__ == "__main__":
    from deltalake import write_deltalake

    _, table, processes, appends = sys.argv[1:]
    write_deltalake(table, _race.rows(0))
    _race.run(begin, table, int(processes), int(appends))
