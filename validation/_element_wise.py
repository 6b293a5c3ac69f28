"""Calls a Python function of single values in a process of its own, which is ended where one value takes too long.

A regular expression that backtracks for ever holds the interpreter's lock, so that no thread could end it, and none of
the others would run. Where processes cannot be forked (Windows), it is called here, and nothing ends it.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, Final, TypeAlias

PATIENCE: Final = 30.0
"""Seconds that a check may take for one value."""

_FALSE, _TRUE, _NULL, _FAULT = range(4)
_MEANING: Final = (False, True, None)
_NEWS: Final = 0.2  # seconds after which answers so far are told
_FORK: Final = Lock()  # one at a time: a child that inherited another's pipe would keep it open

Answers: TypeAlias = "list[bool | None] | str"
"""What the function said of each value, None of null, or why that is not known."""


class Overdue(str):
    """Why a check is not asked again: it ran into its time limit."""

    __slots__ = ()


def ask_each(function: Callable[[Any], object], values: Sequence[Any], patience: float | None = None) -> Answers:
    """Return what `function` says of each of `values` that is not None, or why that cannot be known.

    It sees the values as they are, and what else is in memory, but what it changes there is forgotten.
    """
    if not hasattr(os, "fork"):
        told = bytearray()
        _ask(function, values, told.extend)
        return _understood(told, len(values), "")
    with _FORK:
        ours, theirs = os.pipe()
        with (
            warnings.catch_warnings()
        ):  # newer Pythons warn of locks that other threads hold: the time limit ends those
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            _serve(function, values, theirs)
        os.close(theirs)
    try:
        told, ended = _listen(ours, PATIENCE if patience is None else patience)
    finally:
        os.close(ours)
        with suppress(ProcessLookupError, ChildProcessError):  # somebody else waits for all children
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return _understood(told, len(values), ended)


def _serve(function: Callable[[Any], object], values: Sequence[Any], pipe: int) -> None:
    """Answer and end, whatever happens: nothing of the parent is tidied up here."""
    try:
        gc.disable()
        _ask(function, values, lambda told: _write(pipe, told))
    finally:
        os._exit(0)


def _write(pipe: int, told: bytes) -> None:
    while told:
        told = told[os.write(pipe, told) :]


def _ask(function: Callable[[Any], object], values: Sequence[Any], tell: Callable[[bytes], None]) -> None:
    told, since = bytearray(), time.monotonic()
    try:
        for value in values:
            told.append(_NULL if value is None else _answer(function(value)))
            if time.monotonic() - since > _NEWS:
                tell(bytes(told))
                told, since = bytearray(), time.monotonic()
    except BaseException as error:  # noqa: BLE001 - told to who asks, where it is the outcome
        first = (str(error).strip().splitlines() or ["no message"])[0]
        text = f"{type(error).__name__}: {first[:300]}".encode("utf-8", "replace")
        told += bytes([_FAULT]) + text
    tell(bytes(told))


def _answer(said: object) -> int:
    if said is None:
        return _NULL
    if not isinstance(said, bool):
        raise TypeError(f"an element_wise check answers True or False, not {said!r}"[:200])
    return _TRUE if said else _FALSE


def _listen(pipe: int, patience: float) -> tuple[bytearray, str]:
    """Return all that is told, and why there is no more of it."""
    told, poll = bytearray(), select.poll()
    poll.register(pipe, select.POLLIN)
    while poll.poll(patience * 1000):
        data = os.read(pipe, 1 << 16)
        if not data:
            return told, "the process that ran it ended"
        told += data
    return told, Overdue(f"it took longer than {patience:g} s for one value")


def _understood(told: bytearray, count: int, ended: str) -> Answers:
    fault = told.find(_FAULT)  # until there, each byte is an answer
    if fault >= 0:
        return told[fault + 1 :].decode("utf-8", "replace")
    if len(told) != count:
        return ended
    return [_MEANING[answer] for answer in told]
