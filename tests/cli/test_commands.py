"""The commands on a real lake: what they do, say, print as JSON, and the code they end with."""

import io
import json
import uuid

import pytest

import dataplat as dp
from dataplat.cli import main


class Shell:
    """Runs command lines on one lake in memory, and keeps what they printed."""

    def __init__(self, capsys, url):
        self.capsys, self.url = capsys, url
        self.out = self.err = ""

    def __call__(self, *words, code=0):
        """Run `dataplat words --lake url`, and hold the exit code."""
        ended = main([*words, "--lake", self.url])
        self.out, self.err = self.capsys.readouterr()
        assert ended == code, self.err or self.out
        return self.out

    def json(self, *words, code=0):
        """Run with --json, and return what was printed."""
        return json.loads(self(*words, "--json", code=code) or self.err)


@pytest.fixture
def shell(capsys, tmp_path, monkeypatch):
    """Return a shell on a new lake, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATAPLAT_LAKE", "DATAPLAT_BRANCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    shell = Shell(capsys, f"memory://{uuid.uuid4().hex}")
    shell("init")
    return shell


@pytest.fixture
def stock(shell, tmp_path):
    """Return a shell on a lake with two versions of `stock`, the first tagged v1."""
    (tmp_path / "stock.csv").write_text("item,shelf,count\napple,A,10\nbanana,A,20\ncherry,B,5\n")
    (tmp_path / "counted.csv").write_text("item,shelf,count\nbanana,A,18\ndamson,B,7\n")
    shell("ingest", "stock.csv", "--into", "stock", "--key", "item", "-m", "opening")
    shell("version", "tag", "v1")
    shell("ingest", "counted.csv", "--into", "stock", "--mode", "upsert", "-m", "counted")
    return shell


def lake(shell):
    """Return the lake of a shell, for looking past the command line."""
    return dp.open(shell.url, create=False)


def test_init_tells_new_from_old(capsys, tmp_path, monkeypatch):
    """The first init creates, the second says that there is one; both end with 0."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATAPLAT_LAKE", raising=False)
    assert main(["init", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["init", "--json"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert (first["created"], second["created"]) == (True, False)
    assert first["id"] == second["id"]
    assert (tmp_path / ".dataplat" / "lake.json").exists()


def test_the_lake_is_found_upward(capsys, tmp_path, monkeypatch):
    """A command in a folder below finds the lake above; without one the error says how to make one."""
    monkeypatch.delenv("DATAPLAT_LAKE", raising=False)
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert main(["version", "list"]) == 0
    (tmp_path / ".dataplat").rename(tmp_path / "moved")
    assert main(["version", "list"]) == 3
    assert "dataplat init" in capsys.readouterr().err


def test_ingest_reports_and_is_idempotent(stock):
    """An ingest says what changed; the same file again is nothing to do, and ends with 0."""
    result = stock.json("ingest", "stock.csv", "--into", "stock")
    assert (result["nothing_to_do"], result["rows_added"]) == (True, 0)
    assert "nothing to do" in stock("ingest", "stock.csv", "--into", "stock")
    assert "already" in stock.err


def test_plan_touches_nothing(stock, tmp_path):
    """--plan says what would be read, and neither branch nor store moves."""
    (tmp_path / "more.csv").write_text("item,shelf,count\nelder,C,1\n")
    before = [record.commit_id for record in lake(stock).branches()]
    assert "more.csv" in stock("ingest", "more.csv", "--into", "stock", "--plan")
    assert isinstance(stock.json("ingest", "more.csv", "--into", "stock", "--plan"), dict)
    assert [record.commit_id for record in lake(stock).branches()] == before


def test_stdin_is_a_source(shell, monkeypatch):
    """`-` reads standard input in the format that is named."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}\n{"a": 2}\n')))
    assert shell.json("ingest", "-", "--into", "n", "--format", "ndjson")["rows_added"] == 2


def test_rejects_only_end_with_one(shell, tmp_path):
    """Where something landed the rejects are a note and the code is 0; where nothing did the code is 1."""
    (tmp_path / "some.csv").write_text("a,b\n1,2\n3\n")
    shell("ingest", "some.csv", "--into", "t")
    assert "1 record was rejected; look: dataplat version head t.rejects" in shell.err
    (tmp_path / "none.csv").write_text("a,b\n4\n")
    shell("ingest", "none.csv", "--into", "t", code=1)
    (tmp_path / "again.csv").write_text("a,b\n5\n")
    shell("ingest", "again.csv", "--into", "t", "--on-error", "fail", code=1)
    assert "again.csv" in shell.err
    assert "Traceback" not in shell.err


def test_a_schema_goes_round(stock, tmp_path):
    """What `version schema --json` prints is what `--schema` reads; anything else is refused with what it should be."""
    (tmp_path / "schema.json").write_text(stock("version", "schema", "stock", "--json"))
    (tmp_path / "s.csv").write_text("item,shelf,count\nx,A,1\n")
    stock("ingest", "s.csv", "--into", "copy", "--schema", "schema.json")
    assert lake(stock)["copy"].schema == lake(stock)["stock"].schema
    (tmp_path / "schema.json").write_text('{"a": ')
    stock("ingest", "s.csv", "--into", "copy2", "--schema", "schema.json", code=2)
    assert "version schema REF --json" in stock.err


def test_options_of_columns_and_words(shell, tmp_path):
    """--key and --sort take columns, --null words, with commas between."""
    (tmp_path / "t.csv").write_text("k1,k2,v\n1,a,NA\n1,b,-\n")
    shell("ingest", "t.csv", "--into", "t", "--key", "k1, k2", "--sort", "k2", "--null", "NA,-")
    version = lake(shell)["t"]
    assert (version.key, version.sort) == (("k1", "k2"), ("k2",))
    assert version.to_arrow().column("v").null_count == 2


def test_list_and_log(stock):
    """Datasets with rows and size; versions newest first with what changed and why."""
    listed = stock("version", "list").splitlines()
    assert listed[0].split() == ["dataset", "version", "rows", "size", "changed", "description"]
    assert listed[1].split()[0] == "stock"
    assert [entry["mode"] for entry in stock.json("version", "log", "stock")] == ["upsert", "append"]
    assert [entry["message"] for entry in stock.json("version", "log", "stock@main", "-n", "1")] == ["counted"]
    assert "counted" in stock("version", "log", "stock")


def test_an_empty_lake_says_what_to_do(shell):
    """A list of nothing ends with 0, and a hint beside the result."""
    assert shell.json("version", "list") == []
    shell("version", "list")
    assert "dataplat ingest" in shell.err
    shell("version", "tags")
    assert "version tag NAME" in shell.err


def test_show_says_where_a_version_is_from(stock):
    """Ids, size, key, author and message; the content id when asked for; lineage and query of a result."""
    shown = stock.json("version", "show", "stock", "--content-id")
    assert (shown["rows"], shown["key"], shown["message"]) == (4, ["item"], "counted")
    assert shown["content_id"] == lake(stock)["stock"].content_id
    stock("sql", "select count(*) n from stock", "--into", "n")
    shown = stock.json("version", "show", "n")
    assert shown["made_from"] == [f"stock@id:{lake(stock)['stock'].id[:12]}"]
    assert shown["query"] == "select count(*) n from stock"
    assert "made from" in stock("version", "show", "n")


def test_head_shows_the_first_rows(stock):
    """Rows in their order, columns as asked; a column that is not there is an error that names those that are."""
    assert stock.json("version", "head", "stock@v1", "-n", "1") == [{"item": "apple", "shelf": "A", "count": 10}]
    text = stock("version", "head", "stock@v1", "--columns", "count,item")
    assert text.splitlines()[:2] == ["count  item", "   10  apple"]
    assert "3 of 3 rows" in stock.err
    stock("version", "head", "stock", "--columns", "nope", code=2)
    assert "item, shelf, count" in stock.err


def test_diff_counts_and_shows(stock):
    """Counts as integers; rows with their sign; --exit-code tells scripts."""
    assert stock("version", "diff", "stock@v1", "stock") == "rows: 1 added, 0 removed, 1 changed\n"
    rows = stock("version", "diff", "stock@v1", "stock", "--rows").splitlines()[1:]
    assert rows == ["+ item=damson  shelf=B  count=7", "~ item=banana  count: 20 -> 18"]
    assert stock("version", "diff", "stock", "stock") == "no row differs\n"
    stock("version", "diff", "stock@v1", "stock", "--exit-code", code=1)
    stock("version", "diff", "stock", "stock", "--exit-code")
    stock("version", "diff", "stock@v1", "stock", "--rows", "-n", "0")
    assert "not shown: 1 added, 1 changed" in stock.err
    found = stock.json("version", "diff", "stock@v1", "stock", "--rows")
    assert found["rows"]["added"] == [{"item": "damson", "shelf": "B", "count": 7}]


def test_changes_since(stock):
    """`changes` is the diff from a reference to the newest."""
    assert stock("version", "changes", "stock", "--since", "stock@v1").startswith("rows: 1 added")
    assert stock("version", "changes", "stock", "--since", "v1").startswith("rows: 1 added")


def test_tags_and_branches(stock):
    """Tags never move, branches come and go; a taken name is a conflict, a missing one is not found."""
    assert [tag["name"] for tag in stock.json("version", "tags")] == ["v1"]
    stock("version", "tag", "v1", code=4)
    stock("version", "branch", "create", "exp", "--from", "v1")
    stock("version", "branch", "create", "exp", code=4)
    assert [branch["name"] for branch in stock.json("version", "branch", "list")] == ["exp", "main"]
    assert lake(stock)["stock@exp"].rows == 3
    stock("version", "branch", "delete", "exp")
    stock("version", "branch", "delete", "exp", code=3)
    stock("version", "tag", "deadbeef", code=2)


def test_delete_rollback_rename_describe_drop(stock):
    """Each makes one entry in the log and says what is now."""
    assert "+0 -2 rows, now 2" in stock("version", "delete", "stock", "--where", "shelf = 'B'")
    assert "nothing to do" in stock("version", "delete", "stock", "--where", "shelf = 'Z'")
    assert "again, 4 rows" in stock("version", "rollback", "stock@main~1", "-m", "sorry")
    assert "already, 4 rows" in stock("version", "rollback", "stock@main")
    stock("version", "describe", "stock", "What lies on the shelves.")
    assert "What lies" in stock("version", "list")
    stock("version", "rename", "stock", "shelves")
    assert lake(stock)["shelves"].rows == 4
    stock("version", "drop", "shelves", "-m", "done")
    assert stock.json("version", "list") == []
    stock("version", "show", "shelves", code=3)


def test_the_configured_branch_counts(stock, monkeypatch):
    """DATAPLAT_BRANCH is the branch where no flag says another."""
    stock("version", "branch", "create", "exp", "--from", "v1")
    monkeypatch.setenv("DATAPLAT_BRANCH", "exp")
    assert stock.json("version", "list")[0]["rows"] == 3
    assert stock.json("version", "list", "--branch", "main")[0]["rows"] == 4


def test_the_configured_author_signs(stock, monkeypatch):
    """DATAPLAT_AUTHOR is who the log names."""
    monkeypatch.setenv("DATAPLAT_AUTHOR", "Ada <ada@example.org>")
    stock("version", "delete", "stock", "--where", "shelf = 'B'")
    assert stock.json("version", "log", "stock")[0]["author"] == "Ada <ada@example.org>"


def test_export_and_verify(stock, tmp_path):
    """A version goes out as files, once; verify counts what it looked at."""
    import pyarrow.parquet as pq

    assert "4 rows of stock" in stock("version", "export", "stock", "out")
    assert sum(pq.read_metadata(path).num_rows for path in (tmp_path / "out").rglob("*.parquet")) == 4
    stock("version", "export", "stock@v1", "csv", "--to", "csv")
    assert stock.json("version", "verify")["ok"] is True
    assert "are what was written" in stock("version", "verify", "stock@v1")


def test_verify_ends_with_five_on_damage(capsys, tmp_path, monkeypatch):
    """A flipped byte is found, named, and ends with code 5."""
    monkeypatch.chdir(tmp_path)
    shell = Shell(capsys, str(tmp_path / "lake"))
    (tmp_path / "t.csv").write_text("a\n1\n")
    shell("init")
    shell("ingest", "t.csv", "--into", "t")
    [part] = (tmp_path / "lake" / "objects").rglob("*.parquet")
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.chmod(0o600)
    part.write_bytes(data)
    shell("version", "verify", code=5)
    assert part.stem[:8] in shell.err + shell.out


def test_sql_prints_and_lands(stock, monkeypatch):
    """Results as a table, cut at the limit; as JSON all of them; from standard input too."""
    query = 'select item, count from "stock@v1" order by item'
    assert stock("sql", query, "-n", "2").splitlines() == ["item    count", "apple      10", "banana     20"]
    assert "the first 2 rows" in stock.err
    assert len(stock.json("sql", query)) == 3
    assert stock.json("sql", "select * from stock where false") == []
    assert stock("sql", "select item from stock where false") == "item\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(query))
    assert len(stock.json("sql", "-")) == 3
    stock("sql", query, "--into", "copy")
    assert lake(stock)["copy"].rows == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("version", "show", "nope"), 3),
        (("version", "show", "stock@nope"), 3),
        (("version", "show", "stock@main~9"), 3),
        (("version", "show", "stock@id:0123456789ab"), 3),
        (("version", "show", "@"), 2),
        (("version", "head", "stock", "-n", "-1"), 2),
        (("version", "delete", "stock", "--where", "nope = 1"), 2),
        (("version", "delete", "stock", "--where", "count ="), 2),
        (("sql", "select * from nope"), 3),
        (("sql", "drop table stock"), 2),
        (("ingest", "nope.csv", "--into", "t"), 3),
        (("ingest", "stock.csv", "--into", "t", "--key", "nope"), 1),
        (("ingest", "stock.csv", "--into", "t", "--where", "a = 1"), 2),
        (("ingest", "stock.csv", "--into", "t", "--contract", "nope.py:X"), 2),
    ],
)
def test_errors_are_one_message_and_a_code(stock, words, code):
    """Whatever is wrong: one readable message, no traceback, the documented code, the branch where it was."""
    before = [record.commit_id for record in lake(stock).branches()]
    stock(*words, code=code)
    assert stock.out == ""
    assert stock.err.startswith("error: ")
    assert "Traceback" not in stock.err
    assert stock.json(*words, code=code)["exit_code"] == code
    assert [record.commit_id for record in lake(stock).branches()] == before


def test_debug_shows_the_traceback(stock):
    """With --debug the error itself comes through."""
    with pytest.raises(dp.DatasetNotFound):
        main(["version", "show", "nope", "--debug", "--lake", stock.url])


def test_a_contract_is_told(shell, tmp_path):
    """What passed is counted, what failed is shown with the value and where the rows wait."""
    (tmp_path / "c.py").write_text(
        "import pandera.polars as pa\n\nclass T(pa.DataFrameModel):\n    a: int = pa.Field(gt=0)\n"
    )
    (tmp_path / "t.csv").write_text("a\n1\n-2\n")
    assert "checks passed" in shell("ingest", "t.csv", "--into", "t", "--contract", "c.py:T")
    assert "greater_than(0)" in shell.err
    assert "-2" in shell.err
    assert "1 row is in quarantine; look: dataplat quarantine show q" in shell.err
    (tmp_path / "u.csv").write_text("a\n-3\n")
    shell("ingest", "u.csv", "--into", "t", "--contract", "c.py:T", "--on-error", "fail", code=1)
    assert lake(shell)["t"].rows == 1


def test_names_are_completed_from_the_lake(stock):
    """Datasets, branches, tags and references come from the lake in force; no lake is no error."""
    import click

    from dataplat.cli import _options

    context = click.Context(click.Command("x"))
    context.params["lake"] = stock.url
    given = {
        name: [item.value for item in complete(context, None, prefix)]
        for name, complete, prefix in (
            ("datasets", _options.complete_datasets, "st"),
            ("branches", _options.complete_branches, ""),
            ("points", _options.complete_points, ""),
            ("references", _options.complete_references, "stock@"),
            ("of the lake", _options.complete_references, "@"),
        )
    }
    assert given == {
        "datasets": ["stock"],
        "branches": ["main"],
        "points": ["main", "v1"],
        "references": ["stock@main", "stock@v1"],
        "of the lake": ["@main", "@v1"],
    }
    context.params["lake"] = "memory://nothing-here"
    assert _options.complete_datasets(context, None, "") == []


def test_rejects_can_be_read(shell, tmp_path):
    """The raw bytes of a rejected record are shown as they were written."""
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\nbad line\n")
    shell("ingest", "ragged.csv", "--into", "t")
    assert "b'bad line'" in shell("version", "head", "t.rejects")


def test_formats_are_named_as_people_name_them(shell, tmp_path):
    """Every name that `--format` (and `--to`) offers is one that reads; another is refused as a mistake of the command."""
    (tmp_path / "t").write_text("a\tb\n1\t2\n")
    (tmp_path / "j").write_text('[{"a": 1, "b": 2}]')
    for name, form in (("t", "tsv"), ("j", "json")):
        shell("ingest", name, "--into", name, "--format", form)
        assert lake(shell)[name].to_arrow().to_pylist() == [{"a": 1, "b": 2}]
    assert "'xls' is not one of" in shell.json("version", "export", "t", "out", "--to", "xls", code=2)["message"]
    assert "'foo' is not one of" in shell.json("ingest", "t", "--into", "u", "--format", "foo", code=2)["message"]
    with pytest.raises(dp.DataplatError, match="there is no format 'foo'; there are arrow, avro, csv"):
        lake(shell).ingest("t", into="u", source_format="foo")


def test_what_a_contract_prints_is_no_output(shell, tmp_path):
    """A contract file that prints does not spoil the JSON; one that is not there is a mistake of the command."""
    (tmp_path / "t.csv").write_text("a\n1\n")
    (tmp_path / "c.py").write_text(
        "import pandera.polars as pa\nprint('hi')\nT = pa.DataFrameSchema({'a': pa.Column(int)})\n"
    )
    assert shell.json("ingest", "t.csv", "--into", "t", "--contract", "c.py:T")["rows"] == 1
    assert "hi" in shell.err
    assert shell.json("ingest", "t.csv", "--into", "u", "--contract", "d.py:T", code=2)["error"] == "ContractError"


def test_urls_are_not_taken_for_files(shell):
    """A URL as a source says that it cannot be read yet, not that a file is missing."""
    planted = "PLANTED"
    url = f"https://me:{planted}@host/x.csv?sig={planted}"
    said = shell.json("ingest", url, "--into", "t", code=3)["message"]
    assert said.startswith("https://…@host/x.csv?…: such URLs are not read; bring the file here")
    assert planted not in said
    assert "say s3://b/x.csv" in shell.json("ingest", "s3a://b/x.csv", "--into", "t", code=3)["message"]


def test_a_missing_branch_says_how_to_make_it(shell, tmp_path):
    """Landing on a branch that is not there tells the command that makes it."""
    (tmp_path / "t.csv").write_text("a\n1\n")
    told = shell.json("ingest", "t.csv", "--into", "t", "--branch", "exp", code=3)["message"]
    assert told.endswith("To make it: dataplat version branch create exp")


def test_a_lake_is_no_file(shell, tmp_path, capsys):
    """`init` on a file says that it is one."""
    (tmp_path / "t.csv").write_text("a\n1\n")
    assert main(["init", "t.csv"]) == 5
    assert "t.csv is a file, and a lake is a folder" in capsys.readouterr().err
