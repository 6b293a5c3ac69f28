"""pandera is loaded without pandas on Spark, which it would load wherever pyspark is installed: seconds, for nothing here.

It would also tell Spark, through the environment, to listen on this machine alone, so that no cluster could reach it.
"""

from __future__ import annotations

import importlib.abc
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_ASKS = "pandera.external_config"
_ADDRESS = "SPARK_LOCAL_IP"


class _Keeper(importlib.abc.MetaPathFinder):
    """Says that there is no `pyspark.pandas` while pandera itself is being loaded."""

    address: str | None = None

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """Refuse what pandera asks for; leave everything else to others."""
        if name == _ASKS:
            self.address = os.environ.get(_ADDRESS)
        elif name == "pyspark.pandas" and _is_loading("pandera"):
            if self.address is None:
                os.environ.pop(_ADDRESS, None)
            raise ModuleNotFoundError("pandera does without pandas on Spark", name=name)
        return None


def _is_loading(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def keep_spark_out() -> None:
    """Have pandera load without pandas on Spark, if it is not loaded yet."""
    if "pandera" not in sys.modules and not any(isinstance(each, _Keeper) for each in sys.meta_path):
        sys.meta_path.insert(0, _Keeper())
