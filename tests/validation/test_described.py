"""An answer is remembered for what a check asks, with all that it uses: another constant, another question."""

import os
import subprocess
import sys
import threading

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.validation import load_contract
from dataplat.validation._described import plain
from dataplat.validation._identity import describe_check

HEAD = """
import enum, functools, re
import numpy as np
import polars as pl
import pandera.polars as pa
"""
SCHEMA = "\nC = pa.DataFrameSchema({'a': pa.Column(str, pa.Check(f, element_wise=True))})\n"
MODEL = """
class C(pa.DataFrameModel):
    a: str
    %s
    @pa.check("a", element_wise=True)
    def f(cls, value):
        return len(value) <= %s
"""


def _schema(text: str) -> str:
    return text + SCHEMA


# Each passes "x y", "y" and "zz" with the first word, and fails "zz" with the second.
USES = {
    "what a comprehension uses": (
        _schema("W = {'x', 'y', %s}\ndef f(v): return all(w in W for w in v.split())"),
        "'zz'",
        "'q'",
    ),
    "a compiled pattern": (_schema("P = re.compile('[a-%s ]+')\ndef f(v): return bool(P.fullmatch(v))"), "z", "y"),
    "patterns in a dict": (
        _schema("P = {1: re.compile('[a-%s ]+')}\ndef f(v): return bool(P[1].fullmatch(v))"),
        "z",
        "y",
    ),
    "an array": (_schema("P = np.array(['x y', 'y', %s])\ndef f(v): return bool((P == v).any())"), "'zz'", "'q'"),
    "a series": (_schema("P = pl.Series(['x y', 'y', %s])\ndef f(v): return v in P.to_list()"), "'zz'", "'q'"),
    "an enum": (
        _schema(
            "class E(enum.Enum):\n    A = 'x y'\n    B = 'y'\n    C = %s\ndef f(v): return v in {e.value for e in E}"
        ),
        "'zz'",
        "'q'",
    ),
    "a partial": (
        _schema("P = functools.partial(re.fullmatch, '[a-%s ]+')\ndef f(v): return bool(P(v))"),
        "z",
        "y",
    ),
    "an attribute of a class": (_schema("class K:\n    n = %s\ndef f(v): return len(v) <= K.n"), "3", "2"),
    "what a method is called on": (
        _schema("class K:\n    def __init__(s, n): s.n = n\n    def m(s, v): return len(v) <= s.n\nf = K(%s).m"),
        "3",
        "2",
    ),
    "an attribute of the model": (MODEL % ("_most = %s", "cls._most"), "3", "2"),
    "a helper of the model": (
        MODEL % ("@staticmethod\n    def most(): return %s", "cls.most()"),
        "3",
        "2",
    ),
}


@pytest.mark.parametrize("use", USES)
def test_what_a_check_uses_is_part_of_what_it_asks(tmp_path, use):
    """A verdict is not taken for that of a check whose own text is equal and whose constants are not."""
    text, good, bad = USES[use]
    lake = dp.open(tmp_path / "lake")
    values = ["x y", "y", "zz"] if "most" not in text and "len" not in text else ["x y", "y"]
    lake.ingest(pa.table({"a": values}), into="t")
    file = tmp_path / "c.py"
    file.write_text(HEAD + text.replace("%s", good))
    assert lake["t"].validate(f"{file}:C").ok
    again = lake["t"].validate(f"{file}:C")
    assert again.ok
    assert {check.how for check in again.checks} <= {"proven", "remembered"}
    file.write_text(HEAD + text.replace("%s", bad))
    assert not lake["t"].validate(f"{file}:C").ok


def test_another_field_of_a_model_leaves_the_verdict_of_a_check(tmp_path):
    """What a check of a model does not use, does not make it another check."""
    asked = []
    for number, other in enumerate(("pass", "b: pl.Int64 = pa.Field(ge=0)")):
        file = tmp_path / f"c{number}.py"
        file.write_text(HEAD + MODEL % (other, "3"))
        asked.append(describe_check(load_contract(f"{file}:C").schema.columns["a"].checks[0]))
    assert asked[0] == asked[1]


def test_a_neighbour_of_the_file_is_the_users_own(tmp_path, monkeypatch):
    """A constant of a module beside the contract is a part of it; of an installed one its name is."""
    neighbour, file = tmp_path / "limits_of_mine.py", tmp_path / "c.py"
    file.write_text(HEAD + "import limits_of_mine\nimport math\ndef f(v): return limits_of_mine.N < math.inf" + SCHEMA)
    ids = []
    for limit in (1, 1, 2):
        neighbour.write_text(f"N = {limit}\n")
        monkeypatch.delitem(sys.modules, "limits_of_mine", raising=False)
        ids.append(load_contract(f"{file}:C").id)
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_ids_are_equal_in_every_process(tmp_path, seed):
    """An id depends on no order of hashes and no address."""
    file = tmp_path / "c.py"
    for number, (text, good, _) in enumerate(USES.values()):
        file = tmp_path / f"c{number}.py"
        file.write_text(HEAD + text.replace("%s", good))
    code = "import sys; from dataplat.validation import load_contract\nfor f in sys.argv[1:]: print(load_contract(f+':C').id)"
    files = [str(tmp_path / f"c{number}.py") for number in range(len(USES))]
    told = subprocess.run(
        [sys.executable, "-c", code, *files],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [load_contract(f"{each}:C").id for each in files]


def test_what_cannot_be_described_is_one_of_a_kind():
    """Nobody can say of a lock that it is the same as another run's."""
    lock = threading.Lock()
    assert plain([lock]) != plain([lock])
    assert plain({"x": {1, 2}, 3: b"y", "z": 0.1}) == plain({"x": {2, 1}, 3: b"y", "z": 0.1})
