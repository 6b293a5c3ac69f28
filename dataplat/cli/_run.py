"""Run a command line: every error ends in one readable message and a documented exit code."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from dataplat.cli import _exits
from dataplat.cli._app import app
from dataplat.errors import CommitInDoubt, DataplatError, MergeConflict

COMPLETE = "_DATAPLAT_COMPLETE"
"""Set by the completion scripts: the shell asks, nobody reads messages."""


def run(argv: Sequence[str] | None = None) -> int:
    """Run `argv` and return the exit code; never raise, unless `--debug` is among the arguments."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = "--debug" in own
    if any("spark" in word for word in own):  # pyspark says so whenever it runs; it gets Arrow of us, and never pandas
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    try:
        code = _invoke(arguments, debug=debug, as_json="--json" in own)
        sys.stdout.flush()
    except BrokenPipeError:
        # the interpreter flushes once more at exit; give it something that takes it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _exits.BROKEN_PIPE
    return code


def _invoke(arguments: list[str], *, debug: bool, as_json: bool) -> int:
    try:
        if os.environ.get(COMPLETE):
            from click.shell_completion import shell_complete

            return shell_complete(app, {}, "dataplat", COMPLETE, os.environ[COMPLETE])
        with app.make_context("dataplat", arguments) as context:
            result = app.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        return _usage(error, as_json=as_json)
    except (click.Abort, KeyboardInterrupt) as stop:
        _say("Interrupted", str(stop) or "interrupted; the branch is where it was", _exits.INTERRUPTED, as_json=as_json)
        return _exits.INTERRUPTED
    except BrokenPipeError:
        raise
    except DataplatError as error:
        if debug:
            raise
        code = _exits.code_of(error)
        _say(type(error).__name__, str(error), code, as_json=as_json, **_details(error))
        return code
    except Exception as error:
        if debug:
            raise
        message = (
            f"{type(error).__name__}: {error}\nThis is a defect of dataplat: run it again with --debug and report it."
        )
        _say("Internal", message, _exits.INTERNAL, as_json=as_json)
        return _exits.INTERNAL
    return result if isinstance(result, int) else _exits.DONE


def _usage(error: click.ClickException, *, as_json: bool) -> int:
    """Say what is wrong with the command line, and where its help is."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(message, err=True)
        return _exits.USAGE
    if context is not None and not as_json:
        message += f"\nTry '{context.command_path} --help'."
    _say("UsageError", message, _exits.USAGE, as_json=as_json)
    return _exits.USAGE


def _details(error: DataplatError) -> dict[str, Any]:
    """Return what an error holds beside its message, for machines."""
    if isinstance(error, MergeConflict) and error.conflicts is not None:
        return {"conflicts": error.conflicts.to_pylist()}
    return {"commit": error.commit_id} if isinstance(error, CommitInDoubt) and error.commit_id else {}


def _say(kind: str, message: str, code: int, *, as_json: bool, **details: Any) -> None:
    if as_json:
        told = {"error": kind, "message": message, "exit_code": code, **details}
        click.echo(json.dumps(told, ensure_ascii=False), err=True)
        return
    from dataplat.cli._output import coloured, note

    note(f"{coloured('error:', 'red', sys.stderr)} {message}")
