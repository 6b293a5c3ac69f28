"""`dataplat contract show`: all that a contract asks, and what it changes."""

import pytest

from dataplat.cli import main

TEXT = """
import pandera.polars as pa
import pandera.pandas as pp
import dataplat as dp

class Full(pa.DataFrameModel):
    a: int = pa.Field(coerce=True, metadata={"environment": "train"})
    b: float = pa.Field(gt=0, default=1.0, raise_warning=True)
    class Config:
        strict = True
        ordered = True
        unique = ["a", "b"]

both = dp.Contract(Full, checks=[dp.null_share("b", 0.5, severity="warn", environment="serve")], severity="warn")
pandas = pp.DataFrameSchema(
    {"p": pp.Column(float, pp.Check.ge(1), parsers=pp.Parser(abs), required=False)}, parsers=pp.Parser(len)
)
"""


@pytest.fixture
def file(tmp_path):
    """A file of contracts."""
    path = tmp_path / "c.py"
    path.write_text(TEXT)
    return path


def test_what_a_contract_asks_and_changes_is_shown(file, capsys):
    """Checks with what they only warn of and where they are asked; what is changed; the frame; the rules."""
    assert main(["contract", "show", f"{file}:both"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for part in (
        "a Int64 no coerce (in train only)",
        "b Float64 no greater_than(0) (warns), default 1.0",
        "unique(a, b) strict=True ordered",
        "b null_share(max=0.5) (in serve only, warns)",
        "all of it (warns)",
    ):
        assert part in said


def test_a_model_for_pandas_is_shown(file, capsys):
    """Its columns, checks and parsers, as those of one for polars."""
    assert main(["contract", "show", f"{file}:pandas"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "p float64 no greater_than_or_equal_to(1), parser abs, may be missing parser len" in said
