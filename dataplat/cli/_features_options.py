"""What commands on features share: names that are completed, keys on the command line, times."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from dataplat.cli._options import branch_in_force, complete_names, open_data
from dataplat.errors import ConfigError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from dataplat._features import FeatureStore
    from dataplat._lake import Lake
    from dataplat.feature_store.definitions import Entity, FeatureService

_AGO: Final = re.compile(r"(\d+(?:\.\d+)?) ?(s|m|h|d|w)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def open_store(lake: str | None, branch: str | None) -> FeatureStore:
    """Open the feature store of the lake in force."""
    from dataplat._features import FeatureStore

    return FeatureStore(open_data(lake), branch_in_force(branch))


def _services(lake: Lake) -> Iterable[str]:
    from dataplat._features import FeatureStore
    from dataplat._features._registry import definitions

    found = definitions(FeatureStore(lake, branch_in_force(None)))
    return dict.fromkeys(name for each in found for name in (each.service, each.name))


def _views(lake: Lake) -> Iterable[str]:
    from dataplat._features import FeatureStore
    from dataplat._features._registry import views

    return views(FeatureStore(lake, branch_in_force(None)))


complete_services = complete_names(_services)
complete_views = complete_names(_views)
complete_declared = complete_names(lambda lake: [*_services(lake), *_views(lake)])


def _completed(ctx: click.Context, incomplete: str, names: Callable[[FeatureService], Iterable[str]]) -> Any:
    """Return what completes a word of the service that was typed before."""

    def found(lake: Lake) -> Iterable[str]:
        from dataplat._features import FeatureStore
        from dataplat._features._registry import resolve

        store = FeatureStore(lake, branch_in_force(ctx.params.get("branch")))
        typed = (
            ctx.params.get("service") or ctx.args[0]
        )  # what is typed of an option is no value yet, and ends the parse
        return names(resolve(store, typed))

    return complete_names(found)(ctx, ctx.command.params[0], incomplete)


def complete_keys(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete `airport=` of a request, without those that are there."""
    typed = {word.partition("=")[0] for word in ctx.params.get("keys") or ()}

    def names(service: FeatureService) -> Iterable[str]:
        entities, request = asked_of(service)
        computed = request if ctx.command.name == "get" else ()
        return [f"{name}=" for name in (*entities, *computed) if name not in typed]

    found: list[CompletionItem] = _completed(ctx, incomplete, names)
    return found


def complete_features(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a feature of a service, or one of its views."""
    from dataplat.feature_store.closure import used_views

    def names(service: FeatureService) -> Iterable[str]:
        views = used_views(service)
        features = [f"{view.name}__{each.feature}" for view in views for each in view.features]
        return [*(view.name for view in views), *features]

    found: list[CompletionItem] = _completed(ctx, incomplete, names)
    return found


class Moment(click.ParamType[Any]):
    """A time (2013-06-01T12:00Z), or how long ago (2h, 7d)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return a time in UTC."""
        if isinstance(value, datetime):
            return value
        given = str(value).strip()
        if ago := _AGO.fullmatch(given):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        try:
            found = datetime.fromisoformat(given)
        except ValueError:
            self.fail(f"{given!r} is no time: write 2013-06-01T12:00Z, or how long ago, 2h or 7d", param, ctx)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def columns_of(words: Sequence[str], kinds: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return the columns of `airport=JFK,LGA distance=100`, each value in the type that is asked for.

    Args:
        words: as they were typed.
        kinds: the type of each column that may be given.
    """
    from dataplat.lake.schema import did_you_mean

    found: dict[str, list[Any]] = {}
    for word in words:
        name, equals, told = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is not of the form KEY=VALUE, such as {next(iter(kinds), 'airport')}=…")
        if name not in kinds:
            hint = did_you_mean(name, list(kinds)) if kinds else "; none is asked for"
            raise ConfigError(f"there is no key or request column {name!r}{hint}")
        found[name] = [_value(name, piece, kinds[name]) for piece in told.split(",")]
    if missing := [f"{name}=VALUE" for name in kinds if name not in found]:
        raise ConfigError(f"also needed: {' '.join(missing)}")
    return found


def _value(name: str, text: str, kind: str) -> Any:
    import pyarrow as pa

    from dataplat.lake.schema import parse_type

    wanted = parse_type(kind)
    if pa.types.is_string(wanted) or pa.types.is_large_string(wanted):
        return text
    if text == "null":
        return None
    try:
        return pa.scalar(text).cast(wanted).as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConfigError(f"{name}={text} is no {kind}") from error


def asked_of(service: FeatureService) -> tuple[dict[str, Entity], dict[str, str]]:
    """Return what a request of a service has: entities by the name of their key, and the types of request columns."""
    from dataplat.feature_store.kernel.ondemand import Transforms

    entities = {
        name: entity for view in service.views for name, entity in zip(view.spine_keys, view.view.entities, strict=True)
    }
    return entities, dict(Transforms.of(service).request)


def contracts_of(store: FeatureStore, service: str, given: Sequence[str]) -> dict[str, str]:
    """Return contracts by dataset, of `weather=checks.py:Weather` or, where a service has one source, `checks.py:Weather`.

    Raises:
        ConfigError: It is not said of which dataset one is, or two are of one.
        ContractError: One cannot be loaded.
    """
    from dataplat.validation import load_contract

    found: dict[str, str] = {}
    for word in given:
        dataset, equals, contract = word.partition("=")
        if not equals:
            dataset, contract = _only_source(store, service, word), word
        if dataset in found:
            raise ConfigError(f"two contracts are given for {dataset}: declare one that asks for both")
        load_contract(contract)
        found[dataset] = contract
    return found


def _only_source(store: FeatureStore, service: str, contract: str) -> str:
    from dataplat._features._registry import resolve
    from dataplat._features._sources import ViewSource
    from dataplat.feature_store.online.plan import bases_of

    views = bases_of(resolve(store, service))
    names = sorted({name for view in views for name, _ in ViewSource.of(store, view).datasets})
    if len(names) != 1:
        raise ConfigError(
            f"{service} has the sources {', '.join(names)}: say of which one it is, {names[0]}={contract}"
        )
    return names[0]


def rows_in(text: str) -> list[dict[str, Any]]:
    """Return the rows of JSON: a list of objects, or an object a line."""
    try:
        found = (
            json.loads(text) if text.lstrip()[:1] == "[" else [json.loads(line) for line in text.splitlines() if line]
        )
    except json.JSONDecodeError as error:
        raise ConfigError(f"rows are JSON, a list of objects or one a line: {error}") from error
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ConfigError("rows are JSON objects: a list of them, or one a line")
    return found
