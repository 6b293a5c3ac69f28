"""Compaction as users see it: by hand, by itself, in the log, in references and in diffs."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.cli import main
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CountingStore
from dataplat.versioning.lakefile import create_lake


def feed(lake: Lake, commits: int, start: int = 0) -> None:
    """Land one row a commit."""
    for at in range(start, start + commits):
        result = lake.ingest(pa.table({"id": [at], "v": [str(at)]}), "d", key="id")
        assert result.notes == ()


def modes(lake: Lake) -> list[str]:
    """What was done to `d`, oldest first."""
    return [entry.mode for entry in reversed(lake.log("d"))]


@pytest.fixture
def by_hand(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake with 20 small parts that does not compact itself."""
    monkeypatch.setenv("DATAPLAT_COMPACT", "0")
    feed(memory_lake, 20)
    return memory_lake


def test_by_hand(by_hand: Lake) -> None:
    """The plan is what is then done; content id and rows stay, older versions are readable, a second time is nothing."""
    plan = by_hand.plan_compact("d")
    assert (len(plan.runs), len(plan.runs[0]), plan.parts, plan.rows, plan.folded) == (1, 20, 20, 20, 0)
    before = by_hand["d"]
    made = by_hand.compact("d", message="tidy")
    assert (made.replaced, made.written, made.parts, made.version.rows) == (20, 1, 1, 20)
    assert made.version.content_id == before.content_id
    assert made.version.id != before.id
    assert by_hand[f"d@id:{before.id}"].to_arrow() == made.version.to_arrow()
    assert by_hand.log("d", limit=1)[0].message == "tidy"
    assert by_hand.plan_compact("d").nothing_to_do
    again = by_hand.compact("d")
    assert (again.commit, again.version.id) == (None, made.version.id)
    assert "nothing was rewritten" in again.notes[0]


def test_target_bytes(by_hand: Lake) -> None:
    """A size of one's own gives more parts; one below a byte is refused."""
    assert len(by_hand.plan_compact("d", target_bytes=1 << 20).runs) == 1
    assert by_hand.plan_compact("d", target_bytes=100).nothing_to_do
    with pytest.raises(dp.ConfigError):
        by_hand.compact("d", target_bytes=0)


def test_no_such_dataset(memory_lake: Lake) -> None:
    """A dataset that is not there is named."""
    with pytest.raises(dp.DatasetNotFound, match="'nosuch'"):
        memory_lake.compact("nosuch")


def test_by_itself(memory_lake: Lake) -> None:
    """Every sixteenth small commit is followed by a compaction in a commit of its own, on that branch only."""
    feed(memory_lake, 15)
    assert memory_lake["d"].manifest.n_parts == 15
    feed(memory_lake, 1, 15)
    assert memory_lake["d"].manifest.n_parts == 1
    assert modes(memory_lake) == ["append"] * 16 + ["compact"]
    assert memory_lake.log("d", limit=1)[0].message == "auto-compaction"
    assert memory_lake["d"].to_arrow().column("id").to_pylist() == list(range(16))


def test_by_itself_costs_nothing_where_nothing_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that need not compact reads and writes exactly what it does with compaction turned off."""
    calls = []
    for word in ("1", "0"):
        monkeypatch.setenv("DATAPLAT_COMPACT", word)
        inner = MemoryStore()
        create_lake(inner)
        store = CountingStore(inner)
        lake = Lake(store, "test", "memory")
        feed(lake, 8)
        calls.append(dict(store.calls))
    assert calls[0] == calls[1]


def test_turned_off(by_hand: Lake) -> None:
    """With `DATAPLAT_COMPACT=0` parts stay as they were landed."""
    assert by_hand["d"].manifest.n_parts == 20
    assert set(modes(by_hand)) == {"append"}


def test_turned_off_in_a_file(memory_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So they do with `compact = false` in dataplat.toml."""
    (tmp_path / "dataplat.toml").write_text("compact = false\n")
    monkeypatch.chdir(tmp_path)
    feed(memory_lake, 16)
    assert memory_lake["d"].manifest.n_parts == 16


def test_its_failure_is_a_note(memory_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ingest stands, whatever goes wrong with the compaction behind it."""
    feed(memory_lake, 15)
    monkeypatch.setenv("DATAPLAT_COMPACT", "perhaps")
    result = memory_lake.ingest(pa.table({"id": [15], "v": ["15"]}), "d")
    assert result.commit is not None
    assert "d was not compacted: DATAPLAT_COMPACT" in result.notes[0]
    assert memory_lake["d"].rows == 16


def test_references_count_versions_with_other_rows(memory_lake: Lake) -> None:
    """`~1` is the version before the last change of rows, as if there had been no compaction."""
    feed(memory_lake, 18)
    memory_lake.compact("d")
    memory_lake.ingest(pa.table({"id": [99], "v": ["z"]}), "d")
    assert [memory_lake[f"d@main~{back}"].rows for back in range(5)] == [19, 18, 17, 16, 15]
    assert memory_lake["d@main~1"].manifest.n_parts == 1


@pytest.mark.parametrize("upserted", [False, True], ids=["content id known", "content id pending"])
def test_a_diff_across_a_compaction_is_empty(memory_lake: Lake, upserted: bool) -> None:
    """Every part is another, and no row differs, with a key and without; a known content id makes it free."""
    feed(memory_lake, 5)
    if upserted:
        memory_lake.ingest(pa.table({"id": [2], "v": ["x"]}), "d", mode="upsert")
    before = memory_lake["d"]
    memory_lake.compact("d")
    found = memory_lake.diff(f"d@id:{before.id}", "d")
    assert found.summary.is_empty
    assert (found.added.num_rows, found.removed.num_rows, found.changed.num_rows) == (0, 0, 0)


def test_a_diff_across_a_compaction_reads_nothing(memory_lake: Lake, reads: object) -> None:
    """Where both content ids are known no row is read."""
    feed(memory_lake, 5)
    before = memory_lake["d"]
    memory_lake.compact("d")
    reads.clear()  # type: ignore[attr-defined]
    assert memory_lake.diff(f"d@id:{before.id}", "d").summary.is_empty
    assert reads.calls == []  # type: ignore[attr-defined]


def test_sort_columns_keep_their_statistics(memory_lake: Lake) -> None:
    """A dataset with sort columns keeps the order of its parts one after the other, and prunes by them."""
    for at in (5, 1, 3):
        memory_lake.ingest(pa.table({"t": [at + 1, at]}), "d", sort="t")
    memory_lake.compact("d")
    (part,) = memory_lake["d"].manifest.parts()
    assert memory_lake["d"].to_arrow().column("t").to_pylist() == [5, 6, 1, 2, 3, 4]
    assert (part.stats["t"].low, part.stats["t"].high) == (1, 6)


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`version compact` plans, does and says it, as text and as JSON."""
    monkeypatch.chdir(tmp_path)
    lake = dp.open(tmp_path / ".dataplat")
    feed(lake, 3)
    assert main(["version", "compact", "d", "--plan"]) == 0
    assert capsys.readouterr().out.startswith("would rewrite 3 of 3 parts of d: 3 rows, ")
    assert main(["version", "compact", "d"]) == 0
    assert capsys.readouterr().out.startswith("3 parts became 1, ")
    assert main(["version", "compact", "d", "--plan"]) == 0
    assert capsys.readouterr().out == "the parts of d (1) are as they should be\n"
    assert main(["version", "compact", "d", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["commit"] is None
