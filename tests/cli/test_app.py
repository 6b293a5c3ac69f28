"""The command tree: nothing is loaded to show it, everything in it has a help with an example."""

import importlib
import io
import json
import os
import subprocess
import sys

import click
import pytest

from dataplat.cli import _app, main
from dataplat.cli._app import LazyGroup, app


def tree(group=app, path=()):
    """Yield (path, group or command, its one-line help in the table) of the whole tree."""
    for name, (_, about) in group.lazy.items():
        command = group.get_command(click.Context(group), name)
        yield (*path, name), command, about
        if isinstance(command, LazyGroup):
            yield from tree(command, (*path, name))


def names(kind):
    """Return the paths of all groups, or of all commands."""
    return [path for path, command, _ in tree() if isinstance(command, LazyGroup) == (kind == "group")]


@pytest.mark.parametrize("path", names("command"), ids=" ".join)
def test_help_has_an_example(path, capsys):
    """`--help` of every command shows what it does, and a line to copy."""
    assert main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Example:\n    dataplat {' '.join(path)}" in text or f"| dataplat {' '.join(path)}" in text


@pytest.mark.parametrize("path", names("group"), ids=" ".join)
def test_groups_list_their_commands(path, capsys):
    """`--help` of a group lists what it has."""
    assert main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    group = next(command for p, command, _ in tree() if p == path)
    assert all(about.split(".")[0][:30] in text for _, about in group.lazy.values())


def test_lake_commands_take_lake_json_debug():
    """Every command on a lake has the three options; clone makes one of its own, contracts and servers need none."""
    without = {("version", "clone"), ("contract", "show"), ("label", "annotator", "list")}
    without |= {("label", "server", name) for name in ("start", "stop", "status")}
    for path, command, _ in tree():
        if isinstance(command, LazyGroup) or path == ("completion",):
            continue
        wanted = {"as_json", "debug"} | (set() if path in without else {"lake"})
        assert wanted == {"lake", "as_json", "debug"} & {param.name for param in command.params}, path


def test_help_loads_no_command():
    """`dataplat --help` imports neither a command nor anything heavy."""
    code = "import sys; from dataplat.cli import main; main(['--help']); print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines())
    assert not {"pyarrow", "polars", "numpy", "duckdb", "msgspec", "rich", "dataplat._lake"} & loaded
    assert not {f"dataplat.cli.{name}" for name in _app.COMMANDS} & loaded


def test_a_near_command_is_named(capsys):
    """A command that does not exist is answered with one that does."""
    assert main(["vresion"]) == 2
    assert "did you mean 'version'" in capsys.readouterr().err
    assert main(["version", "zzz"]) == 2
    assert "there are list, log" in capsys.readouterr().err


def test_a_command_of_a_group_is_named(capsys):
    """Who leaves out the group is told it: `dataplat clone` is `dataplat version clone`."""
    assert main(["clone", "s3://bucket/lake"]) == 2
    assert "did you mean 'version clone'?" in capsys.readouterr().err


def test_no_command_shows_the_help(capsys):
    """`dataplat` alone shows what there is, and is no success."""
    assert main([]) == 2
    assert "Exit codes:" in capsys.readouterr().err


def test_usage_errors_say_where_help_is(capsys):
    """A wrong flag is one line and a pointer to the help; with --json it is JSON."""
    assert main(["ingest", "x.csv"]) == 2
    assert "Missing option '--into'" in (text := capsys.readouterr().err)
    assert "dataplat ingest --help" in text
    assert main(["ingest", "x.csv", "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["exit_code"] == 2


def test_the_version_is_told(capsys):
    """`--version` prints the package's version."""
    from dataplat import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"dataplat {__version__}\n"


def test_a_defect_is_one_message_unless_debug(capsys, monkeypatch):
    """An unexpected error is a message with what to do; --debug lets it through."""

    def broken(**_):
        raise ZeroDivisionError("oops")

    command = app.get_command(click.Context(app), "init")
    monkeypatch.setattr(command, "callback", broken)
    assert main(["init"]) == 70
    assert "ZeroDivisionError: oops" in (text := capsys.readouterr().err)
    assert "--debug" in text
    assert "Traceback" not in text
    with pytest.raises(ZeroDivisionError):
        main(["init", "--debug"])


def test_an_interrupt_ends_quietly(capsys, monkeypatch):
    """Ctrl-C is a message and code 130."""

    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(app.get_command(click.Context(app), "init"), "callback", interrupted)
    assert main(["init"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_traceback():
    """A closed pipe ends the command quietly with 141."""
    code = "import sys\nfrom dataplat.cli import main\nsys.exit(main(['--help']))"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell, capsys):
    """Each shell gets a script that asks dataplat itself."""
    assert main(["completion", shell]) == 0
    assert "_DATAPLAT_COMPLETE" in capsys.readouterr().out


def complete(*words):
    """Return what bash would be offered for the last word."""
    line = " ".join(("dataplat", *words))
    env = {**os.environ, "_DATAPLAT_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    done = subprocess.run([sys.executable, "-m", "dataplat"], env=env, capture_output=True, text=True, check=True)
    return [item.split(",", 1)[1] for item in done.stdout.splitlines()]


def test_commands_and_options_are_completed():
    """Commands, subcommands and options are offered."""
    assert complete("ver") == ["version"]
    assert complete("version", "ta") == ["tag", "tags"]
    assert "--contract" in complete("ingest", "--con")


def test_every_command_module_is_importable():
    """The table names modules and attributes that exist."""
    for group in (app, *(command for _, command, _ in tree() if isinstance(command, LazyGroup))):
        for place, _ in group.lazy.values():
            module, _, attribute = place.partition(":")
            assert isinstance(getattr(importlib.import_module(module), attribute), click.Command)


def test_main_reads_the_process_arguments(monkeypatch, capsys):
    """Without arguments given, those of the process count."""
    monkeypatch.setattr(sys, "argv", ["dataplat", "--version"])
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main() == 0
    assert capsys.readouterr().out.startswith("dataplat ")


@pytest.mark.parametrize(
    ("words", "loads"),
    [
        (["version", "list"], set()),
        (["version", "log", "t"], set()),
        (["version", "log", "--graph"], set()),
        (["version", "tags"], set()),
        (["version", "branch", "list"], set()),
        (["version", "du"], set()),
        (["version", "gc", "--dry-run"], set()),
        (["version", "head", "t"], {"pyarrow"}),
        (["ingest", "u.csv", "--into", "u"], {"pyarrow"}),
        (["sql", "select * from t"], {"pyarrow", "duckdb"}),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else None,
)
def test_commands_load_what_they_need(words, loads, tmp_path, monkeypatch, capsys):
    """Looking at metadata loads neither pyarrow, numpy, Polars nor DuckDB; no command loads pandas."""
    monkeypatch.setenv("DATAPLAT_LAKE", str(tmp_path / "lake"))
    monkeypatch.chdir(tmp_path)
    for name in ("t.csv", "u.csv"):
        (tmp_path / name).write_text("a\n1\n2\n")
    assert main(["init"]) == 0
    assert main(["ingest", "t.csv", "--into", "t"]) == 0
    code = f"import sys; from dataplat.cli import main; code = main({words!r}); print(*sys.modules); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    heavy = {"pyarrow", "numpy", "polars", "duckdb"} & loaded
    assert loads <= heavy if loads else not heavy
    assert "pandas" not in loaded


@pytest.mark.parametrize("words", [["--lake", "x", "version", "list"], ["version", "--json", "list"]])
def test_options_before_the_command(words, capsys):
    """An option of commands that stands before the command is told its place."""
    assert main(words) == 2
    assert "goes after the command" in capsys.readouterr().err
