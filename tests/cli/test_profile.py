"""`dataplat profile`: versions and files as lines of text with a picture, as JSON, and as a page."""

import json
import uuid

import pytest

from dataplat.cli import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command line on a lake of one dataset, in a folder with a file of the same rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    url = f"memory://{uuid.uuid4().hex}"
    lines = "".join(f"{number},{'AB'[number % 3 == 0]}\n" for number in range(100))
    (tmp_path / "stock.csv").write_text(f"count,shelf\n{lines},C\n")

    def go(*words, code=0):
        ended = main([*words, "--lake", url])
        out, err = capsys.readouterr()
        assert ended == code, err or out
        return out or err

    go("init")
    go("ingest", "stock.csv", "--into", "stock")
    return go


def test_a_version_is_told_in_a_table(run):
    """Each column has a line: how much is missing, how many values, the median, and a picture of what it holds."""
    head, heads, count, shelf = run("profile", "stock").splitlines()
    assert head.startswith("stock@id:")
    assert head.endswith(": 101 rows × 2 columns")
    assert heads.split()[:5] == ["column", "values", "missing", "distinct", "shape"]
    assert count.split()[:6] == ["count", "int", "0.99", "%", "100", "█" * 14 + "▃"]
    assert "49" in count.split()
    assert shelf.split()[:6] == ["shelf", "string", "0", "%", "3", "█▅▁"]
    assert "A 65.35 %" in shelf


def test_a_file_is_told_as_its_version_is(run):
    """The same rows outside the lake give the same figures."""
    of_file, of_version = (
        json.loads(run("profile", "stock.csv", "--json")),
        json.loads(run("profile", "stock", "--json")),
    )
    assert of_file["columns"] == of_version["columns"]
    assert of_file["version"] is None


def test_rows_and_columns_can_be_chosen(run):
    """`--where` and `--columns` say of what."""
    told = json.loads(run("profile", "stock", "--where", "shelf = 'B'", "--columns", "count", "--json"))
    assert list(told["columns"]) == ["count"]
    assert told["columns"]["count"]["quantiles"]["1"] == 99
    assert told["rows"] == 34


def test_what_was_looked_at_is_remembered(run):
    """The second time no part is looked at."""
    assert json.loads(run("profile", "stock", "--json"))["remembered"] == 0
    assert json.loads(run("profile", "stock", "--json"))["remembered"] == 1


def test_a_page_is_written(run, tmp_path):
    """`--report` writes a page, and says where."""
    run("profile", "stock", "--report", "profile.html")
    page = (tmp_path / "profile.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "Profile of stock" in page


def test_wrong_names_are_told(run):
    """A column, dataset or condition that is not there is an error of use, with what there is."""
    assert "no column 'sheff'" in run("profile", "stock", "--columns", "sheff", code=2)
    assert "sheff" in run("profile", "stock", "--where", "sheff = 1", code=2)
    assert "stok" in run("profile", "stok", code=3)


def test_a_narrow_terminal_gets_what_fits(run, monkeypatch):
    """Columns of the table that do not fit are named instead."""
    monkeypatch.setattr("dataplat.cli.profile.room", lambda: 60)
    lines = run("profile", "stock").splitlines()
    assert max(map(len, lines[1:4])) <= 60
