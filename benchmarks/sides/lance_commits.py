"""Lance: `race TABLE PROCESSES APPENDS`: all processes append ten rows at a time, with its own retries."""

import sys

import _race


def begin(table, number):
    import lance

    small = _race.rows(number)
    lance.dataset(table)
    return lambda: lance.write_dataset(small, table, mode="append")


if __name__ == "__main__":
    import lance

    _, table, processes, appends = sys.argv[1:]
    lance.write_dataset(_race.rows(0), table)
    _race.run(begin, table, int(processes), int(appends))
