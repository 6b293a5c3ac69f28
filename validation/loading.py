"""Finds the contract that a user names: `schema.py:Flights`, or the pandera object itself."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import linecache
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
    _need_pandera()
    from dataplat.validation.contract import Contract

    if isinstance(source, Contract):
        return source
    if source is None:
        raise ContractError("no contract was given: say which, a pandera model or schema, a Contract or FILE:NAME")
    if isinstance(source, Path):
        source = str(source)
    if not isinstance(source, str):
        return Contract(source)
    path, name = split_source(source)
    return _contract(_run(path), name, source)


def contract_from_text(text: bytes, name: str, file: str) -> Contract:
    """Return the contract `name` that the text of a Python file declares; the file itself need not be here.

    Args:
        text: the file, UTF-8. It is run, so whoever calls this trusts where it comes from.
        name: of a pandera polars model or schema in it.
        file: what messages call it.

    Raises:
        ContractError: it raises when it is run (a module that is missing here, too), or `name` is no contract.
        MissingExtra: pandera is not installed.
    """
    _need_pandera()
    digest = hashlib.sha256(text).hexdigest()
    shown = f"<{file} {digest[:12]}>"
    try:
        lines = text.decode("utf-8").splitlines(keepends=True)
        code = compile(text, shown, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise ContractError(f"contract file {file} cannot be read: {error}") from error
    linecache.cache[shown] = (len(text), None, lines, shown)  # the id of a contract asks for the source of its checks
    return _contract(_executed(code, f"_dataplat_contract_{digest[:16]}", shown), name, f"{file}:{name}")


def _need_pandera() -> None:
    """Ask first, so that a file that lacks pandera is told from one that is wrong."""
    try:
        import pandera.polars  # noqa: F401
    except ImportError as error:
        raise MissingExtra("contracts need pandera: pip install 'dataplat[contracts]'") from error


def _contract(module: types.ModuleType, name: str, source: str) -> Contract:
    from dataplat.validation.contract import Contract

    found = _named(module, name, source)
    if isinstance(found, Contract):
        return found if found.name != "schema" else found.named(name)
    return Contract(found, name=name)


def split_source(source: str) -> tuple[Path, str]:
    """Return file and name of `FILE:NAME`; raise `ContractError` where it has another form, or there is no file."""
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
    folder = str(path.resolve().parent)
    sys.path.append(folder)  # last: a neighbour of the file can be imported, but hides nothing that is installed
    try:
        return _executed(code, f"_dataplat_contract_{digest[:16]}", str(path))
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _executed(code: types.CodeType, name: str, file: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module  # annotations of models are looked up through it
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what it prints is no part of our output
            exec(code, module.__dict__)  # noqa: S102 - a contract is code that the user asks to run
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ContractError(
            f"contract file {file} raises when it is run: {type(error).__name__}: {error}{_line_of(error, file)}"
        ) from error
    return module


def _line_of(error: BaseException, file: str) -> str:
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
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
