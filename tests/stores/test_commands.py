"""Every command that works on a lake says on S3 and HDFS what it says in a folder."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import dataplat as dp
from dataplat.cli import main

FILES = {
    "orders.csv": "order,customer,amount,day\n1,ada,12.50,2026-11-01\n2,bob,8.00,2026-11-01\n3,cy,31.20,2026-11-02\n",
    "late.csv": "order,customer,amount,day\n3,cy,29.90,2026-11-02\n4,dee,5.75,2026-11-02\n",
    "bad.csv": "order,customer,amount,day\n9,x,no number,2026-11-02\n10,y,1.0,2026-11-02\n",
    "negative.csv": "order,customer,amount,day\n11,x,-5.0,2026-11-02\n",
    "people.csv": "who,n\n" + "".join(f"p{n},{n}\n" for n in range(2000)),
    "ours.csv": "who,n\np1,200\n",
    "theirs.csv": "who,n\np1,100\n",
    "contract.py": "import pandera.polars as pa\nclass Orders(pa.DataFrameModel):\n    amount: float = pa.Field(ge=0)\n",
}

BEFORE = """
init {lake} | ingest orders.csv --into orders --key order | ingest orders.csv --into orders
ingest late.csv --into orders --mode upsert --plan | version tag v1 | ingest late.csv --into orders --mode upsert -m late
ingest bad.csv --into orders --mode upsert | 1 ingest negative.csv --into orders --contract contract.py:Orders
ingest people.csv --into people --key who | version list | version log orders | version log | version log --graph
version show orders --content-id | version head orders | version schema orders | version status orders
version diff orders@v1 orders --rows | version diff orders@v1 orders --format html -o diff.html
version changes orders --since v1 | version tags | version branch list | version branch create fix
version evolve orders --rename day=bought --branch fix | version delete orders --where "customer='ada'"
version merge fix --plan | version merge fix | version branch create a
ingest theirs.csv --into people --mode upsert --branch a | ingest ours.csv --into people --mode upsert
4 version merge a | version conflicts a --format csv -o conflicts.csv
"""
AFTER = """
version conflicts a --resolve resolved.csv | version branch create b --from main~1 | version cherry-pick main --onto b --policy theirs
version revert main | version rollback orders@v1 | version drop people --branch b | version rename people folk --branch a
version describe people words | version branch protect main --dataset orders --contract contract.py:Orders
1 ingest negative.csv --into orders | version branch unprotect main --dataset orders | version branch keep main 9
version export people p | version export people d --to delta
version export people v --to dvc | version export people c --to csv | version du | version compact people
version gc --dry-run --explain | version gc --grace 0s
version erase people --where "who='p7'" --reason ticket --plan | version erase people --where "who='p7'" --reason ticket --yes
version branch delete b | version verify | version clone {lake} copy | version verify --lake copy | version push copy
ingest people.csv --into more --lake copy | version push {lake} --lake copy | version head more
version clone copy {lake}-copy | version verify --lake {lake}-copy | ingest orders.csv --into more2
version pull {lake} --lake copy | version push {lake}-copy | version list --lake {lake}-copy
sql 'select count(*) as n from people' | sql 'select * from people where n < 3' --into three | version show three
"""
DAMAGED = "5 version verify | version verify --repair-from {lake}-copy | version verify"
LAST = "version export people i --to iceberg | version verify"  # it keeps parts of a folder where they are

MASKS = (
    (r"\b[0-9a-f]{8,64}\b", "ID"),
    (r"\bq[0-9a-f]{12}\b", "QID"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ?", "TIME"),
    (r"\d[\d.,]* (?:k|M)?B\b", "SIZE"),
    (r"(that|too young to) go +\d+", r"\1 go N"),  # far away, what a commit sends before it looks may be in vain
    (r"\b\d+ objects", "OBJECTS"),
    (r"in [\d.]+ m?s\b", "in SECONDS"),
    (r"ID/ID", "ID"),
)


class Hand:
    """Runs command lines, and keeps what they print without what is never the same twice."""

    def __init__(self, lake: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.lake, self.capsys = lake, capsys
        self.said: list[str] = []

    def run(self, lines: str) -> None:
        """Run commands; each begins with the exit code that it must have, if that is not 0."""
        import shlex

        for line in lines.strip().replace("\n", " | ").split(" | "):
            code, words = (int(line[0]), line[2:]) if line[0].isdigit() else (0, line)
            ended = main(shlex.split(words.format(lake=self.lake)))
            out, err = self.capsys.readouterr()
            assert ended == code, f"{words}: {err or out}"
            text = (out + err).replace(self.lake, "LAKE")
            if not words.startswith(("init", "version du")):  # tables of times and bytes
                for pattern, word in MASKS:
                    text = re.sub(pattern, word, text)
                self.said.append(f"$ {words}\n" + re.sub(r" {2,}|-{2,}", "  ", text))

    def resolve(self) -> None:
        """Fill the table of conflicts."""
        with Path("conflicts.csv").open() as file:
            rows = list(csv.DictReader(file))
        with Path("resolved.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows({**row, "resolution": "theirs"} for row in rows)

    def damage(self) -> None:
        """Exchange the end of one part in the store, as a disk may."""
        lake = dp.open(self.lake, create=False)
        part, store = lake["people"].parts[0].id, lake.store
        while hasattr(store, "inner"):
            store = store.inner
        key = next(info.key for info in store.list("objects/") if part in info.key.replace("/", ""))
        data = store.read(key)
        store.delete(key)
        store.create(key, data[:-20] + bytes(20))


def a_day(new_place: Callable[[], str], folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run all commands on a new lake in a new folder; return what they printed."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("NO_COLOR", "1")
        patch.setenv("DATAPLAT_TRUST_CONTRACTS", "1")  # of a lake that is no folder of ours
        hand = Hand(new_place(), capsys)
        patch.setenv("DATAPLAT_LAKE", hand.lake)
        for name, text in FILES.items():
            Path(name).write_text(text)
        hand.run(BEFORE)
        hand.resolve()
        hand.run(AFTER)
        hand.damage()
        hand.run(DAMAGED)
        said = list(hand.said)
        hand.run(LAST)
    return said


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["s3", pytest.param("hdfs", marks=[pytest.mark.xdist_group("hdfs"), pytest.mark.proof])]
)
def test_a_day_of_commands_is_the_same(place, kind, tmp_path, capsys):
    """Land, look, correct, branch, merge, settle, export, compact, collect, erase, copy both ways, repair: word by word."""
    here = a_day(place("file"), tmp_path / "here", capsys)
    there = a_day(place(kind), tmp_path / "there", capsys)
    assert len(there) == len(here) > 70
    for near, far in zip(here, there, strict=True):
        assert far == near, f"{far}\n--- but here\n{near}"
