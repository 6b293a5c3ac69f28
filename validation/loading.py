"""Finds the contract that a user names: `schema.py:Flights`, or the pandera object itself."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplat.errors import ContractError, MissingExtra

if TYPE_CHECKING:
    from dataplat.validation.contract import Contract


def load_contract(source: Any) -> Contract:
    """Return the contract that `source` names or is.

    Args:
        source: `FILE:NAME` (a Python file, and the name of a pandera polars model or schema in it), such a model
            or schema, or a `Contract`.

    Raises:
        ContractError: no such file or name, the file raises when it is run, or what it names is no contract.
        MissingExtra: pandera is not installed.
    """
    try:
        import pandera.polars  # noqa: F401 - asked first, so that a file that lacks it is told from one that is wrong
    except ImportError as error:
        raise MissingExtra("contracts need pandera: pip install 'dataplat[contracts]'") from error
    from dataplat.validation.contract import Contract

    if isinstance(source, Contract):
        return source
    if isinstance(source, Path):
        source = str(source)
    if not isinstance(source, str):
        return Contract(_name_of(source), source)
    path, name = _split(source)
    found = _named(_run(path), name, source)
    if isinstance(found, Contract):
        return found
    return Contract(name, found)


def _name_of(value: Any) -> str:
    return str(getattr(value, "__name__", None) or getattr(value, "name", None) or "schema")


def _split(source: str) -> tuple[Path, str]:
    file, colon, name = source.rpartition(":")
    if not colon or not file or not name.isidentifier():
        raise ContractError(f"contract {source!r} does not have the form FILE:NAME, such as schema.py:Flights")
    path = Path(file).expanduser()
    if not path.is_file():
        raise ContractError(f"contract {source!r}: there is no file {path}")
    return path, name


def _run(path: Path) -> types.ModuleType:
    """Run a file as a module of its own name, always from its present text: cached bytecode may be older."""
    try:
        text = path.read_bytes()
        code = compile(text, str(path), "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError) as error:
        raise ContractError(f"contract file {path} cannot be read: {error}") from error
    digest = hashlib.sha256(str(path.resolve()).encode() + b"\0" + text).hexdigest()
    module = types.ModuleType(f"_dataplat_contract_{digest[:16]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # annotations of models are looked up through it
    folder = str(path.resolve().parent)
    sys.path.append(folder)  # last: a neighbour of the file can be imported, but hides nothing that is installed
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what it prints is no part of our output
            exec(code, module.__dict__)  # noqa: S102 - a contract is code that the user asks to run
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise ContractError(
            f"contract file {path} raises when it is run: {type(error).__name__}: {error}{_line_of(error, path)}"
        ) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    return module


def _line_of(error: BaseException, path: Path) -> str:
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return "" if line is None else f" (line {line})"


def _named(module: types.ModuleType, name: str, source: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        near = difflib.get_close_matches(name, [each for each in vars(module) if not each.startswith("_")], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ContractError(f"contract {source!r}: the file defines no {name!r}{hint}") from None
