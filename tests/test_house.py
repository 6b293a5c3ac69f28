"""The house stands: one package behind the links, imports in one direction, nothing heavy at import."""

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("connectors", "feature_store", "labeling", "lake", "validation", "versioning")

PUBLIC_NAMES = [
    "AlreadyExists",
    "AsyncFeatureClient",
    "BadColumn",
    "BadName",
    "BadReference",
    "BranchNotFound",
    "BranchProtected",
    "CommitConflict",
    "CommitError",
    "CommitInDoubt",
    "ConfigError",
    "Contract",
    "ContractError",
    "ContractFailed",
    "Count",
    "DataplatError",
    "DatasetNotFound",
    "Diff",
    "DistinctCount",
    "Entity",
    "FeatureClient",
    "FeatureServerDenied",
    "FeatureServerError",
    "FeatureServerTimeout",
    "FeatureService",
    "FeatureStore",
    "FeatureView",
    "Fetched",
    "Field",
    "First",
    "IngestPlan",
    "IngestResult",
    "IntegrityError",
    "KeyConflict",
    "KeyViolation",
    "LabelConfigError",
    "LabelError",
    "LabelQueue",
    "LabelServerDenied",
    "LabelServerError",
    "LabelServerTimeout",
    "LabelServerTooLarge",
    "Lake",
    "LakeFormatError",
    "LakeNotFound",
    "Last",
    "LastN",
    "Max",
    "Mean",
    "MergeConflict",
    "MergeResult",
    "Min",
    "MissingExtra",
    "ObjectExists",
    "ObjectNotFound",
    "PositionConflict",
    "PredicateError",
    "Progress",
    "Quantile",
    "Query",
    "QueueNotFound",
    "Ratio",
    "RefError",
    "Request",
    "SchemaError",
    "SchemaMismatch",
    "SourceError",
    "SourceGap",
    "SourceNotFound",
    "SourceUnreachable",
    "Std",
    "StoreError",
    "StoreTimeout",
    "StoreUnsuitable",
    "Sum",
    "TagNotFound",
    "Version",
    "VersionNotFound",
    "clone",
    "committee",
    "corrections",
    "distinct_share",
    "diversity",
    "drift",
    "drift_slice",
    "foreign_key",
    "freshness",
    "mean",
    "no_drift",
    "null_share",
    "on_demand",
    "open",
    "outliers",
    "profile",
    "quantile",
    "row_count",
    "skew",
    "sql",
    "sql_check",
    "uncertainty",
    "unique",
    "validate",
]


def script(name):
    """Load one of the scripts, which are run by path and lie in no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python(code, cwd, **options):
    """Run `code` in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False, **options)


# --------------------------------------------------------------------------------------------- one ordinary package


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_is_a_relative_link_with_a_purpose(room):
    """dataplat/<room> is a link to ../<room>, so a clone works anywhere, and the room says what it is for."""
    link = ROOT / "dataplat" / room
    assert link.is_symlink()
    assert link.readlink() == Path("..") / room
    assert (ROOT / room / "__init__.py").read_text("utf-8").startswith('"""')


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_cannot_be_imported_from_the_root(room):
    """`import lake` in the repository's root raises ImportError instead of giving a second copy of every class."""
    done = python(f"import {room}", cwd=ROOT)
    assert done.returncode == 1
    assert f"ImportError: import it as dataplat.{room}" in done.stderr


def test_the_editable_install_sees_the_rooms(tmp_path):
    """Installed editable, every room is found under dataplat from any folder, and only there."""
    code = (
        "import importlib\n"
        f"for room in {ROOMS}:\n"
        "    assert importlib.import_module(f'dataplat.{room}').__name__ == f'dataplat.{room}'\n"
        "    try: importlib.import_module(room)\n"
        "    except ImportError: pass\n"
        "    else: raise AssertionError(room)\n"
        "from dataplat.lake.digest import Digest\n"
        "assert Digest.__module__ == 'dataplat.lake.digest'"
    )
    done = python(code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_pytest_runs_from_any_folder(tmp_path):
    """The tests do not depend on the folder that pytest is started in."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    target = f"{ROOT / 'tests' / 'test_config.py'}::test_defaults_without_a_file"
    done = subprocess.run([*command, target], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build sdist and wheel as a release would, without a network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def modules_on_disk():
    """Return the path of every module inside the package, as it must be in a distribution."""
    return {name.replace(".", "/") for name, _ in script("lint_imports").sources()}


def as_modules(names):
    """Return the module paths among the file names of a distribution."""
    return {name.removesuffix(".py").removesuffix("/__init__") for name in names if name.endswith(".py")}


@pytest.mark.slow
def test_the_wheel_is_one_ordinary_package(built, tmp_path):
    """The wheel holds every module once, under dataplat/ or as Spark looks for it, and needs nothing of the repository."""
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        archive.extractall(tmp_path / "site")  # noqa: S202  (our own)
        meta = [name for name in archive.namelist() if ".dist-info/" in name]
    assert {name.split("/")[0] for name in names} == {"dataplat", "pyspark_dataplat.py"}
    assert as_modules(names) == {*modules_on_disk(), "pyspark_dataplat"}
    assert "dataplat/py.typed" in names
    assert any(name.endswith("LICENSE") for name in meta)
    code = "import dataplat.lake.digest as d; print(d.__file__)"
    done = python(code, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")})
    assert done.stdout.startswith(str(tmp_path / "site")), done.stderr


@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel(built, tmp_path):
    """The sdist holds files, no links, and the wheel that is built from it has the same modules."""
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert not [member.name for member in archive if member.issym() or member.islnk()]
        archive.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    done = subprocess.run(command, cwd=unpacked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert as_modules(names) == {*modules_on_disk(), "pyspark_dataplat"}


# ---------------------------------------------------------------------------------------------- what imports load


@pytest.mark.parametrize("lint", ["lint_imports", "lint_limits", "lint_secrets"])
def test_the_lints_find_nothing(lint):
    """Imports point one way, sizes and names are within bounds, no file names an index host, a machine or a secret."""
    assert list(script(lint).problems()) == []


def test_the_import_lint_sees_a_wrong_direction():
    """The lint is not blind: upward imports are refused, downward ones and public names are not."""
    allowed = script("lint_imports")._allowed
    assert not allowed("lake", "versioning")
    assert not allowed("versioning", "connectors")
    assert not allowed("validation", "connectors")
    assert not allowed("errors", "lake")
    assert not allowed("lake", "")
    assert not allowed("ingest", "testing")
    assert not allowed("ingest", "cli")
    assert allowed("versioning", "lake")
    assert allowed("connectors", "connectors")
    assert allowed("cli", "config")
    assert allowed("cli", "open")
    assert allowed("testing", "versioning")


@pytest.mark.parametrize(
    "text",
    [
        "pip install --index-url https:" + "//example.org/simple",
        "see https:" + "//py" + "pi.org/project/x",
        "open('/ho" + "me/ada/x.csv')",
        "key = 'AK" + "IAABCDEFGHIJKLMNOP'",
        "s3 = 'https:" + "//ada:hunter22@example.org'",
    ],
)
def test_the_secrets_lint_sees_what_it_must(text):
    """The lint is not blind either."""
    assert [line for line, _ in script("lint_secrets").problems_in(f"fine\n{text}\n")] == [2]


def test_the_secrets_lint_lets_ordinary_text_pass():
    """A URL, a relative path and an ordinary sentence are fine."""
    text = "see https://example.org/a/b and ./home/x, data/work/y; memory://name; pip install dataplat"
    assert list(script("lint_secrets").problems_in(text)) == []


def loaded_by(statement, cwd):
    """Return the top-level names of modules that `statement` loads."""
    code = f"import sys; before = set(sys.modules)\n{statement}\nprint('\\n'.join(set(sys.modules) - before))"
    done = python(code, cwd)
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "statement", ["import dataplat", "import dataplat as dp; dp.DataplatError; dir(dp)", "import dataplat.config"]
)
def test_import_loads_the_standard_library_only(statement, tmp_path):
    """`import dataplat`, its errors and its configuration bring in no third-party package."""
    assert loaded_by(statement, tmp_path) - {"dataplat"} <= sys.stdlib_module_names


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_light_until_used(room, tmp_path):
    """Importing a room loads no third-party package: its names are resolved when they are used."""
    assert loaded_by(f"import dataplat.{room}", tmp_path) - {"dataplat"} <= sys.stdlib_module_names


def test_the_public_names():
    """These are the names that users may rely on; a change here is a change for them."""
    import dataplat

    assert dataplat.__all__ == PUBLIC_NAMES
    assert set(PUBLIC_NAMES) <= set(dir(dataplat))


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_every_public_name_resolves(name):
    """A name in the list is there, and has a docstring."""
    import dataplat

    assert getattr(dataplat, name).__doc__


def test_a_name_that_is_not_public_is_an_attribute_error():
    """A typo is an AttributeError as in any module."""
    import dataplat

    with pytest.raises(AttributeError, match="no attribute 'oepn'"):
        dataplat.oepn  # noqa: B018


def test_every_error_is_in_the_tree_of_its_docstring():
    """The tree that is drawn in dataplat.errors has exactly the classes that are there, at their depth."""
    from dataplat import errors

    drawn, stack = {}, []
    for indent, name in re.findall(r"^([ │├└─]+)([A-Z]\w+)", errors.__doc__, re.MULTILINE):
        del stack[len(indent) // 4 - 1 :]
        drawn[name] = stack[-1] if stack else "Exception"
        stack.append(name)
    there = {
        name: kind.__bases__[0].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert drawn == there


# ------------------------------------------------------------------------------------------------------- how to run


def test_constraints_hold_versions_and_nothing_else():
    """constraints.txt is `name==version` lines: no host, no path, and every dependency is among them."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; .+)?", line) for line in lines)
    held = {line.split("==")[0] for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *(n for extra in project["optional-dependencies"].values() for n in extra)]
    assert {re.match(r"[A-Za-z0-9-]+", text).group().lower() for text in needed} - {"dataplat"} <= held


def test_one_version_of_the_package():
    """pyproject.toml and the package agree on the version, and the changelog has it."""
    import dataplat

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == dataplat.__version__
    assert f"## {dataplat.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_make_tells_its_targets():
    """`make` alone lists every target that a person may call, each with what it does."""
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = re.findall(r"^  make (\w+) +\S", done.stdout, re.MULTILINE)
    assert {"demo", "check", "test", "bench", "simulate", "docs", "proof", "format", "clean"} <= set(listed)


def test_ci_runs_the_tests():
    """.ci/run is executable and calls `make test` without standard input."""
    path = ROOT / ".ci" / "run"
    assert os.access(path, os.X_OK)
    assert "make test </dev/null" in path.read_text()


def test_coverage_sees_the_rooms():
    """The rooms are named as coverage sources: with dataplat alone it would see nothing and print 100 %."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(config["tool"]["coverage"]["run"]["source"]) == {"dataplat", *ROOMS}
