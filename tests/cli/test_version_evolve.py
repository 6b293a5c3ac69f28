"""`dataplat version evolve` as people and scripts use it."""

import json
import os
import uuid

import click
import pytest

import dataplat as dp
from dataplat.cli import main
from dataplat.cli._app import app


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command on a lake with `stock`, and holds the code it ends with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("DATAPLAT_BRANCH", raising=False)
    url = f"memory://{uuid.uuid4().hex}"
    monkeypatch.setenv("DATAPLAT_LAKE", url)
    (tmp_path / "stock.csv").write_text("item,shelf,count\napple,A,10\nbanana,,20\n")

    def run(*words, code=0):
        ended = main(list(words))
        out, err = capsys.readouterr()
        assert ended == code, err or out
        return out or err

    run("init", url)
    run("ingest", "stock.csv", "--into", "stock", "--key", "item")
    return run


def test_evolve(run):
    """All options in one commit, said line by line; the log names them."""
    words = ["--drop", "shelf", "--rename", "count=n", "--add", "price decimal(10, 2)", "--order", "n,item"]
    out = run("version", "evolve", "stock", *words)
    assert "drops column shelf (string)" in out
    assert "order of columns: n, item, price" in out
    assert "no part was written anew" in out
    columns = json.loads(run("version", "schema", "stock", "--json"))
    assert [(column["name"], column["type"]) for column in columns] == [
        ("n", "int64"),
        ("item", "string"),
        ("price", "decimal(10, 2)"),
    ]
    assert not any("stored" in column for column in columns)
    assert "evolve" in run("version", "log", "stock")


def test_plan(run):
    """A plan moves nothing, and says as JSON what would be."""
    before = run("version", "show", "stock", "--json")
    found = json.loads(run("version", "evolve", "stock", "--required", "item", "--plan", "--json"))
    assert found["changes"] == ["column item is never null"]
    assert found["planned"]
    assert "would change" in run("version", "evolve", "stock", "--nullable", "item", "--drop", "shelf", "--plan")
    assert "nothing to do" in run("version", "evolve", "stock", "--nullable", "item")
    assert run("version", "show", "stock", "--json") == before


def test_refusals(run):
    """Errors of the data end in 1, of the command line in 2, and name what is wrong."""
    assert "null in row 2 (item = 'banana')" in run("version", "evolve", "stock", "--required", "shelf", code=1)
    assert "in the key" in run("version", "evolve", "stock", "--drop", "item", code=1)
    assert "--rename wants old=new" in run("version", "evolve", "stock", "--rename", "count", code=2)
    assert "named twice" in run("version", "evolve", "stock", "--rename", "count=a", "--rename", "count=b", code=2)
    for words, said in (
        (["--drop", "cuont"], "did you mean 'count'"),
        (["--add", "gate strnig"], "strnig"),
        (["--add", "gate"], "no column with its type"),
        (["--widen", "count={"], "no JSON"),
        (["--add", "count string"], "already"),
        (["--rename", "count=item"], "two columns"),
    ):
        assert said in run("version", "evolve", "stock", *words, code=2)
    assert "cannot be widened" in run("version", "evolve", "stock", "--widen", "count=int32", code=1)
    assert "name a change" in run("version", "evolve", "stock", code=2)
    assert "no dataset 'other'" in run("version", "evolve", "other", "--drop", "x", code=3)


def test_columns_are_completed(run):
    """Every option that names columns of the dataset completes them, also behind a comma; a wrong name is no error."""
    command = app.get_command(None, "version").get_command(None, "evolve")
    context = click.Context(command)
    context.params |= {"name": "stock", "lake": None}
    options = {param.name: param for param in command.params}
    for name in ("drop", "rename", "widen", "nullable", "required", "order"):
        assert [item.value for item in options[name].shell_complete(context, "sh")] == ["shelf"]
    assert [item.value for item in options["order"].shell_complete(context, "item,c")] == ["item,count"]
    context.params["name"] = "other"
    assert options["drop"].shell_complete(context, "") == []


def test_on_a_branch(run):
    """--branch evolves there alone."""
    run("version", "branch", "create", "exp")
    run("version", "evolve", "stock", "--rename", "count=n", "-b", "exp", "-m", "clearer")
    lake = dp.open(os.environ["DATAPLAT_LAKE"], create=False)
    assert lake["stock@exp"].schema.names == ["item", "shelf", "n"]
    assert lake["stock"].schema.names == ["item", "shelf", "count"]
    assert lake.log("stock", "exp")[0].message == "clearer"
