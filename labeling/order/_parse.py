"""Orders as people type them: `uncertainty:predictions`, `diversity:x,y`, `sql:abs(dep_delay)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, get_args

from dataplat.errors import ConfigError
from dataplat.labeling.order._policies import (
    Order,
    committee,
    corrections,
    diversity,
    drift_slice,
    fixed,
    order_from,
    outliers,
    random,
    sql,
    uncertainty,
)


def parse_order(text: str) -> Order:
    """Return the order that `KIND` or `KIND:WHAT` names.

    `uncertainty:REF`, `committee:REF,REF`, `diversity:COLUMNS`, `drift_slice:REF`, `outliers` or `outliers:COLUMNS`,
    `corrections:REF`, `sql:EXPRESSION`, `random`, `fixed`. What else orders can be told they are told in Python.

    Raises:
        ConfigError: There is no such order, it lacks what it looks at, or takes nothing.
    """
    kind, colon, what = (part.strip() for part in text.partition(":"))
    kind = kind.replace("-", "_")
    if kind not in _MAKE:
        order_from({"order": kind})  # says which there are
        raise ConfigError(f"no order {kind!r}")
    make, wants = _MAKE[kind]
    if bool(colon) and wants is None:
        raise ConfigError(f"the order {kind} looks at nothing: write {kind} alone")
    if not what and wants is not None and kind != "outliers":
        raise ConfigError(f"the order {kind} lacks what it looks at: {kind}:{wants}")
    return make(what)


def _names(what: str) -> list[str]:
    return [name.strip() for name in what.split(",") if name.strip()]


_MAKE: Final[dict[str, tuple[Callable[[str], Order], str | None]]] = {
    "committee": (lambda what: committee(*_names(what)), "REF,REF"),
    "corrections": (corrections, "REF"),
    "diversity": (lambda what: diversity(_names(what)), "COLUMNS"),
    "drift_slice": (drift_slice, "REF"),
    "fixed": (lambda _: fixed(), None),
    "outliers": (lambda what: outliers(_names(what) or None), "COLUMNS"),
    "random": (lambda _: random(), None),
    "sql": (sql, "EXPRESSION"),
    "uncertainty": (uncertainty, "REF"),
}
assert set(_MAKE) == {each.__struct_config__.tag for each in get_args(Order)}
