"""From the name of an engine to what does the work."""

from __future__ import annotations

from typing import Protocol

from dataplat.errors import ConfigError
from dataplat.lake.engine import Engine, Local
from dataplat.lake.stores import Address, Store


class Stored(Protocol):
    """A lake, or the objects of one."""

    @property
    def store(self) -> Store:
        """Where it lies."""
        ...


def engine_of(engine: str | Engine, lake: Stored) -> Engine:
    """Return the engine that a name stands for: `local`, or `spark`: the session that is active, else one that is made.

    Raises:
        ConfigError: There is no engine of that name, or the lake is in the memory of this process.
        MissingExtra: pyspark is not installed.
    """
    if not isinstance(engine, str):
        return engine
    if engine == "local":
        return Local()
    if engine != "spark":
        raise ConfigError(f"there is no engine {engine!r}: it is local or spark")
    Address.of(lake.store)
    from dataplat._spark._engine import SparkEngine
    from dataplat._spark._session import session

    return SparkEngine(session())
