"""Spark as an engine: pieces of work as tasks, their results in order, and errors as they would be raised here.

    lake["flights"].validate("contract.py:Flights", engine="spark")

Pieces travel as pickles in a frame of two columns, so that it is the same over Spark Connect, which has no RDDs.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dataplat._engine import engine_of
from dataplat.errors import EngineError

if TYPE_CHECKING:
    from types import ModuleType

    import pyarrow as pa
    from pyspark.sql import SparkSession

__all__ = ["SparkEngine", "engine_of"]

T = TypeVar("T")
R = TypeVar("R")

ROUNDS = 8
"""Tasks for each core: so many that cores which are quick do more of them."""

_SCHEMA = "at int, body binary"


class SparkEngine:
    """Tasks of a Spark session do the work.

    Attributes:
        session: the session; of an engine at a master it is made when it is first needed.
        returned: bytes of results that came back from tasks so far; they do not grow with rows.
    """

    name = "spark"

    def __init__(self, session: SparkSession | None = None, *, master: str | None = None) -> None:
        self.returned = 0
        self._master = master
        if session is None:
            from dataplat._spark._session import pyspark_sessions

            pyspark_sessions()  # that it is not installed is an error now
        else:
            self.session = session

    @cached_property
    def session(self) -> SparkSession:
        """Return the session."""
        from dataplat._spark._session import session

        return session(self._master)

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Yield what `function` returns for each item, in their order; all have been worked on when it returns.

        Raises:
            EngineError: Spark gave up on a task: its machine was lost again and again.
        """
        if not items:
            return iter(())
        runs = _runs(items, ROUNDS * self.cores)
        sent, *bodies = pickled(function, *runs)
        found = [part for body in self._ran(sent, bodies) for part in _unpacked(body)]
        assert len(found) == len(items)
        return iter(found)

    def _ran(self, function: bytes, bodies: Sequence[bytes]) -> list[bytes]:
        """Return what one task makes of each of the bodies."""
        import pyarrow as pa

        table = pa.table({"at": pa.array(range(len(bodies)), pa.int32()), "body": pa.array(bodies, pa.binary())})
        frame = self.session.createDataFrame(table).repartitionById(len(bodies), "at")
        try:
            answer = frame.mapInArrow(partial(_work, function), _SCHEMA).toArrow().sort_by("at")
        except Exception as error:  # Spark's, and those of what speaks with Java
            raise EngineError(f"Spark could not finish {len(bodies)} tasks: {_last_words(error)}") from error
        self.returned += answer.nbytes
        found: list[bytes] = answer.column("body").to_pylist()
        return found

    @property
    def cores(self) -> int:
        """How many tasks work at once."""
        from pyspark.errors import PySparkException

        try:
            return self.session.sparkContext.defaultParallelism
        except PySparkException:  # Spark Connect does not tell
            return int(self.session.conf.get("spark.sql.shuffle.partitions") or 200) // ROUNDS + 1


def _runs(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """Return items as at most `most` runs of neighbours, as even as can be."""
    count = min(len(items), most)
    ends = [len(items) * at // count for at in range(count + 1)]
    return [items[start:end] for start, end in pairwise(ends)]


# ------------------------------------------------------------------------------------------------------- in a task


def _work(function: bytes, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Call the function for every item of every body that comes."""
    import pickle

    import pyarrow as pa

    call = None
    for batch in batches:
        for at, body in zip(batch.column("at").to_pylist(), batch.column("body").to_pylist(), strict=True):
            call = call or pickle.loads(function)  # noqa: S301 - what the driver of this very session sent
            answer = _packed(call, pickle.loads(body))  # noqa: S301
            yield pa.record_batch({"at": pa.array([at], pa.int32()), "body": pa.array([answer], pa.binary())})


def _packed(function: Callable[[Any], Any], items: Sequence[Any]) -> bytes:
    """Return the results, and the error at which they end: Spark would try it three times more, and then hide it."""
    found: list[Any] = []
    fault: Exception | None = None
    for item in items:
        try:
            found.append(function(item))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised at home
            fault = error
            break
    if fault is not None:
        return dumped(([], sendable(fault)))
    try:
        return dumped((found, None))
    except Exception as error:  # noqa: BLE001 - what cannot be pickled raises what it likes
        return dumped(([], EngineError(f"a result cannot be sent back: {type(error).__name__}: {error}")))


def sendable(error: Exception) -> Exception:
    """Return an error, or one that says the same where it cannot travel: it may take other arguments than it keeps."""
    import pickle

    try:
        pickle.loads(dumped(error))  # noqa: S301 - just made
        return error
    except Exception:  # noqa: BLE001 - whatever goes wrong, it cannot travel
        return EngineError(f"a task ended with {type(error).__name__}: {error}")


# -------------------------------------------------------------------------------------------------------- at home


def _unpacked(body: bytes) -> list[Any]:
    import pickle

    found: list[Any]
    found, fault = pickle.loads(body)  # noqa: S301 - what a task of this session sent
    if fault is not None:
        raise fault
    return found


def pickled(*each: Any) -> list[bytes]:
    """Return things as pickles that other machines can read: with the code of modules that are not installed."""
    with _sent_by_value():
        return [dumped(one) for one in each]


def dumped(one: Any) -> bytes:
    """Return a pickle, by value of what has no name elsewhere."""
    from pyspark import cloudpickle

    data: bytes = cloudpickle.dumps(one)  # type: ignore[no-untyped-call]
    return data


_RAISED = re.compile(r"[A-Za-z_][\w.]*: .+")
_TELLING = ("exited unexpectedly", "Lost task", "Job aborted", "Caused by:")


def _last_words(error: Exception) -> str:
    """Return the line of an error of Spark's that says what it was, without the stacks of two languages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    deepest = max((at for at, line in enumerate(lines) if line.startswith('File "')), default=-1)
    if deepest >= 0:  # of Python: what stands behind the last line of code is what was raised
        raised = next((line for line in lines[deepest + 1 :] if _RAISED.match(line)), None)
        if raised is not None:
            return raised[:2000]
    telling = (line for words in _TELLING for line in lines if words in line)
    return next(telling, lines[0] if lines else type(error).__name__)[:500]


@contextmanager
def _sent_by_value() -> Iterator[None]:
    """Send the code of modules that are not installed along with what uses it: other machines do not have them."""
    from pyspark import cloudpickle

    ours = [module for module in list(sys.modules.values()) if _is_at_home_only(module)]
    known = cloudpickle.list_registry_pickle_by_value()  # type: ignore[no-untyped-call]
    new = [module for module in ours if module.__name__ not in known]
    for module in new:
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for module in new:
            cloudpickle.unregister_pickle_by_value(module)  # type: ignore[no-untyped-call]


_INSTALLED = tuple(
    {str(Path(sysconfig.get_paths()[name]).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def _is_at_home_only(module: ModuleType) -> bool:
    """Return whether a module was run from a file of the user's: a contract, a script, a notebook's neighbour."""
    file = getattr(module, "__file__", None)
    name = getattr(module, "__name__", "")
    if not file or name.split(".")[0] in {"dataplat", "pyspark", "__main__", "__mp_main__"}:
        return False
    return sys.modules.get(name) is module and not str(Path(file).resolve()).startswith(_INSTALLED)
