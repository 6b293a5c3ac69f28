"""The file in which features are declared: run as Python, and its services taken; what is wrong in it is said with its line."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import linecache
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplat.errors import ConfigError, DataplatError

if TYPE_CHECKING:
    from dataplat.feature_store.definitions import FeatureService

_HINT = 'declare one: delay_model = dp.FeatureService("delay_model", [weather, delays])'


def services_of(given: str) -> list[FeatureService]:
    """Return the services that a file declares: all that its variables name, or the one of `FILE:NAME`.

    NAME is a variable, or a service's name.

    Raises:
        ConfigError: There is no such file, it cannot be run, or it declares no service; its line is named.
    """
    from dataplat.feature_store.definitions import FeatureService

    path, name = _split(given)
    module = _run(path)
    found: dict[int, FeatureService] = {}
    for value in vars(module).values():
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, FeatureService):
                found[id(each)] = each
    services = list(found.values())
    if name is not None:
        services = _named(module, services, name, path)
    if not services:
        raise ConfigError(f"{path} declares no feature service; {_HINT}")
    _check_twice(services, path)
    return services


@contextlib.contextmanager
def lines_of(given: str) -> Iterator[None]:
    """Say the line of the file with an error that comes from a function in it."""
    path, _ = _split(given)
    try:
        yield
    except DataplatError as error:
        if (line := _line(error, str(path))) is None:
            raise
        raise ConfigError(f"{path}:{line}: {error}") from error


def _split(given: str) -> tuple[Path, str | None]:
    """Return the file, and the name behind it if there is one."""
    file, colon, name = given.rpartition(":")
    if not colon or not name.isidentifier() or Path(given).is_file():
        file, name = given, ""
    path = Path(file).expanduser()
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name the Python file in it that declares features")
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [each.name for each in path.parent.glob("*.py")], 1)
        hint = f"; did you mean {path.parent / near[0]}?" if near else ""
        raise ConfigError(f"there is no file {path}{hint}")
    return path, name or None


def _run(path: Path) -> types.ModuleType:
    """Run a file from its present text, its folder behind all others: what lies beside it can be imported."""
    try:
        text = path.read_bytes()
        code = compile(text, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise ConfigError(f"{path}:{error.lineno}: {error.msg}\n    {(error.text or '').strip()}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    linecache.checkcache(str(path))
    folder = str(path.resolve().parent)
    module = types.ModuleType(f"_dataplat_features_{hashlib.sha256(text).hexdigest()[:16]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    sys.path.append(folder)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what it prints is no part of our output
            exec(code, module.__dict__)  # noqa: S102  (definitions are code that the user asks to run)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise ConfigError(_placed(error, path)) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    return module


def _placed(error: BaseException, path: Path) -> str:
    """Return an error with the line that it comes from."""
    said = str(error) if isinstance(error, DataplatError) else f"{type(error).__name__}: {error}"
    line = _line(error, str(path))
    if line is None:
        return f"{path}: {said}"
    return f"{path}:{line}: {said}\n    {linecache.getline(str(path), line).strip()}"


def _line(error: BaseException | None, file: str) -> int | None:
    """Return the innermost line of a file that an error, or what caused it, came through."""
    while error is not None:
        line = None
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == file:
                line = trace.tb_lineno
            trace = trace.tb_next
        if line is not None:
            return line
        error = error.__cause__ or error.__context__
    return None


def _named(module: types.ModuleType, services: list[FeatureService], name: str, path: Path) -> list[FeatureService]:
    value: Any = getattr(module, name, None)
    found = [each for each in services if each is value] or [each for each in services if each.name == name]
    if not found:
        names = [each.name for each in services]
        near = difflib.get_close_matches(name, names, 1)
        told = f"did you mean {near[0]!r}?" if near else f"it declares {', '.join(names) or 'none'}"
        raise ConfigError(f"{path} declares no service {name!r}; {told}")
    return found


def _check_twice(services: list[FeatureService], path: Path) -> None:
    seen: set[tuple[str, int]] = set()
    for each in services:
        if (each.name, each.version) in seen:
            raise ConfigError(
                f"{path} declares service {each.name} version {each.version} twice; give one of them version={each.version + 1}"
            )
        seen.add((each.name, each.version))
