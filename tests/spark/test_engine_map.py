"""Pieces of work as tasks of Spark, and the same in this process."""

from __future__ import annotations

import os
import sys
import types

import pytest

from dataplat._spark._engine import SparkEngine
from dataplat.errors import EngineError, KeyViolation
from dataplat.lake.engine import ANSWERS, Local, in_runs


@pytest.fixture(params=["local", "spark"])
def engine(request):
    """Return each of the engines."""
    return Local() if request.param == "local" else SparkEngine(request.getfixturevalue("spark"))


class Odd(Exception):
    """An error that takes other arguments than it keeps."""

    def __init__(self, part, check):
        super().__init__(f"{check} of {part}")


def test_results_come_in_order_from_other_processes(engine):
    """Every item is worked on once, whatever machine does it and however many there are of them."""
    found = list(engine.map(lambda number: (number * number, os.getpid()), range(37)))
    assert [square for square, _ in found] == [number * number for number in range(37)]
    assert (os.getpid() in {process for _, process in found}) == (engine.name == "local")
    assert list(engine.map(str, [])) == []


def test_an_error_of_a_task_is_raised_here(engine):
    """It is the one that the function raised, not one of Spark's."""

    def check(number):
        if number == 3:
            raise KeyViolation("part 3 holds a key twice")
        return number

    with pytest.raises(KeyViolation, match="^part 3 holds a key twice$"):
        list(engine.map(check, range(5)))


def test_an_error_that_cannot_travel_says_what_it_was(spark):
    """Of an error that cannot be made again elsewhere its words arrive."""

    def check(part):
        raise Odd(part, "unique")

    with pytest.raises(EngineError, match="Odd: unique of p1"):
        list(SparkEngine(spark).map(check, ["p1"]))


def test_a_result_that_cannot_travel_is_an_error(spark):
    """A task says so, and names what it was."""
    with pytest.raises(EngineError, match="a result cannot be sent back"):
        list(SparkEngine(spark).map(lambda _: (each for each in ()), [1]))


def test_code_that_is_not_installed_travels_along(spark, monkeypatch):
    """A function of a module that other machines do not have brings the module's names that it uses."""
    module = types.ModuleType("only_here")
    module.__file__ = "/somewhere/only_here.py"
    exec("FACTOR = 3\ndef inner(x):\n    return x * FACTOR\ndef outer(x):\n    return inner(x) + 1", module.__dict__)  # noqa: S102
    monkeypatch.setitem(sys.modules, "only_here", module)
    assert list(SparkEngine(spark).map(module.outer, [1, 2])) == [4, 7]


def test_bytes_that_come_back_are_counted(spark):
    """What an engine brought here is as small as its results."""
    engine = SparkEngine(spark)
    list(engine.map(bytes, [1000, 2000]))
    assert 3000 < engine.returned < 4000


def test_a_lost_process_is_an_error_that_can_be_read(spark):
    """A task whose process dies says so in one line, without the stacks of two languages."""
    with pytest.raises(EngineError) as failed:
        list(SparkEngine(spark).map(lambda _: os._exit(9), [1]))
    assert len(str(failed.value).splitlines()) == 1
    assert "Python worker exited unexpectedly" in str(failed.value)


def test_calls_do_not_grow_with_items(spark):
    """Of very many items a call takes more, in their order: what comes back to one machine has a bound."""
    engine = SparkEngine(spark)
    assert in_runs(engine, range(20), 8) == [range(8), range(8, 16), range(16, 20)]
    for count in (8 * ANSWERS, 8 * ANSWERS + 1, 1_000_000):
        runs = in_runs(engine, range(count), 8)
        assert len(runs) <= ANSWERS
        assert [item for run in runs for item in run] == list(range(count))
