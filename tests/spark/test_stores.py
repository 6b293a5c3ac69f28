"""Lakes on S3, GCS and HDFS, and topics of Kafka, by a Spark that fetched its jars, and by one that has them in a folder.

Both run in processes of their own: the jars of a session are settled when its Java starts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.connectors.spark.jars import EXTRAS
from dataplat.connectors.spark.stores import hadoop_settings
from dataplat.errors import ConfigError
from dataplat.lake.stores import open_store
from servers import Message, needs
from servers.spark import ROOT, quiet

ROWS = 1000
SENT = 300
SPEAKS = {"s3": "s3", "gcs": "gs", "hdfs": "hdfs"}

FETCHING = """
import json, sys
import dataplat as dp
from dataplat.cli import main
told = json.loads(sys.argv[1])
lakes = {name: dp.open(url, create=False) for name, url in told["lakes"].items()}
spark = lakes["s3"].spark("local[2]", extras=["kafka"], **told["settings"])
found = {}
for name, lake in lakes.items():
    fast = lake["t"].to_spark(spark).where("v = 3")
    source = spark.read.format("dataplat").option("lake", lake.url)
    rows = spark.range(told["rows"]).selectExpr("id as k", "id % 7 as v")
    rows.write.format("dataplat").option("lake", lake.url).option("key", "k").mode("append").save("written")
    landed = lake.ingest(told["days"], into="days", engine="spark")
    found[name] = {
        "fast": sorted(row[0] for row in fast.select("k").collect()),
        "read": sorted(row[0] for row in source.load("t@v1").where("v = 3").select("k").collect()),
        "landed": landed.rows_added,
    }
found["cli"] = main(["ingest", told["topic"], "--into", "events", "--lake", lakes["s3"].url])
with open(told["answer"], "w") as file:
    json.dump(found, file)
spark.stop()
"""
OFFLINE = """
import json, sys
import dataplat as dp
from dataplat._spark._session import has
told = json.loads(sys.argv[1])
lake = dp.open(told["lakes"]["s3"], create=False)
spark = lake.spark("local[1]", extras=["kafka", "gcs"], jars=told["jars"], **told["settings"])
topic = spark.read.format("kafka").options(**told["kafka"]).load()
found = {"rows": lake["t"].to_spark(spark).count(), "sent": topic.count(), "has": [has(spark, e) for e in told["extras"]]}
with open(told["answer"], "w") as file:
    json.dump(found, file)
spark.stop()
"""


class Places:
    """Lakes on each store, what lies in them, and the processes of Spark that are shown them."""

    def __init__(self, folder: Path, environment: dict[str, str], urls: dict[str, str], topic: Any, connector: Path):
        self.folder, self.environment, self.topic = folder, environment, topic
        rows = pa.table({"k": range(ROWS), "v": [k % 7 for k in range(ROWS)]})
        self.lakes = {name: dp.open(url) for name, url in urls.items()}
        for lake in self.lakes.values():
            lake.ingest(rows, into="t")
            lake.tag("v1")
            lake.delete("t", "k < 100")
        (folder / "days").mkdir()
        for day in range(3):
            (folder / "days" / f"{day}.csv").write_text(f"day,at\n{day},1\n{day},2\n", "utf-8")
        topic.produce([Message(f"{at}".encode(), b"k", partition=at % 2) for at in range(SENT)])
        self.options = {"kafka.bootstrap.servers": topic.server.bootstrap, "subscribe": topic.name}
        query = "&".join(f"{name}={value}" for name, value in {**self.options, "startingOffsets": "earliest"}.items())
        self.told = {
            "lakes": {name: str(lake.url) for name, lake in self.lakes.items()},
            "settings": {**{name: str(value) for name, value in quiet(folder).items()}, "spark.ui.enabled": "false"},
            "rows": ROWS,
            "days": str(folder / "days"),
            "topic": f"spark://kafka?{query}",
            "kafka": self.options,
            "extras": sorted(EXTRAS),
        }
        self.told["settings"] |= {"spark.driver.memory": "768m", "spark.jars": str(connector)}
        self.connector = connector

    def run(self, script: str, **more: Any) -> dict[str, Any]:
        """Have a new process run a script; return what it found."""
        answer = self.folder / "answer.json"
        answer.unlink(missing_ok=True)
        told = {**self.told, **more, "answer": str(answer)}
        env = {**os.environ, **self.environment, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1"}
        command = [sys.executable, "-W", "ignore", "-c", script, json.dumps(told)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900, check=False)
        said = [line for line in done.stderr.splitlines() if not line.startswith("\tat ")]
        assert done.returncode == 0, "\n".join(said)[-6000:]
        found: dict[str, Any] = json.loads(answer.read_text("utf-8"))
        return found


@pytest.fixture(scope="module")
def places(tmp_path_factory, s3_server, gcs_server, hdfs_server, mortal_kafka):
    """Return places with a few rows each."""
    urls = {
        "s3": f"s3://{s3_server.new_bucket()}/lake",
        "gcs": f"gs://{gcs_server.new_bucket()}/lake",
        "hdfs": f"{hdfs_server.url}{hdfs_server.new_folder()}",
    }
    environment = {**s3_server.environment(), **gcs_server.environment(), "AWS_EC2_METADATA_DISABLED": "true"}
    connector = needs("spark-gcs") / EXTRAS["gcs"].files[0]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        folder = tmp_path_factory.mktemp("places")
        yield Places(folder, environment, urls, mortal_kafka.new_topic(partitions=2), connector)


@pytest.fixture(scope="module")
def found(places):
    """Return what a Spark found that fetched the jars of S3 and Kafka itself."""
    return places.run(FETCHING)


@pytest.mark.parametrize("store", SPEAKS)
def test_spark_reads_and_writes_lakes_on_a_store(places, found, store, tmp_path):
    """Its own reader leaves out deletes, the source reads a tag, tasks write: ids are those of a lake in a folder."""
    threes = [k for k in range(ROWS) if k % 7 == 3]
    assert found[store] == {"fast": [k for k in threes if k >= 100], "read": threes, "landed": 6}
    there, here = places.lakes[store], dp.open(tmp_path / "here")
    rows = pa.table({"k": range(ROWS), "v": [k % 7 for k in range(ROWS)]})
    assert there["written"].content_id == here.ingest(rows, into="written", key="k").version.content_id
    assert there["days"].content_id == here.ingest(places.folder / "days", into="days").version.content_id


def test_what_a_topic_holds_lands_by_a_command(places, found):
    """`dataplat ingest 'spark://kafka?…'` lands each message once, with its bytes, partition and offset."""
    assert found["cli"] == 0
    events = places.lakes["s3"]["events"].to_arrow()
    assert sorted(int(value) for value in events["value"].to_pylist()) == list(range(SENT))
    assert sorted(set(zip(events["partition"].to_pylist(), events["offset"].to_pylist(), strict=True))) == [
        (partition, offset) for partition in (0, 1) for offset in range(SENT // 2)
    ]


@pytest.mark.proof
def test_a_folder_of_jars_is_enough_without_a_network(places, found, tmp_path):
    """What a first session fetched, copied into a folder, makes a session that reads S3, GCS and Kafka, and no Maven."""
    jars = tmp_path / "jars"
    jars.mkdir()
    for jar in (Path.home() / ".ivy2.5.2" / "jars").glob("*.jar"):
        if jar.name.startswith(("org.apache.", "software.", "org.reactivestreams", "org.wildfly")):
            (jars / jar.name).symlink_to(jar)
    shutil.copy(places.connector, jars)
    settings = {name: value for name, value in places.told["settings"].items() if name != "spark.jars"}
    nowhere = {"spark.jars.repositories": "http://127.0.0.1:9/", "spark.jars.ivy": str(tmp_path / "ivy")}
    offline = places.run(OFFLINE, jars=str(jars), settings={**settings, **nowhere})
    assert offline == {"rows": ROWS - 100, "sent": SENT, "has": [True, True, True]}
    assert not (tmp_path / "ivy").exists()


def test_hadoop_is_told_what_a_store_was_told(tmp_path, monkeypatch):
    """Keys, endpoints and key files reach Hadoop; a key that it has no way to take is an error that says which it has."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SECRET", "geheim")

    def told(url: str, **options: Any) -> dict[str, str]:
        found = hadoop_settings(open_store(url, options))
        return {name: value for name, value in found.items() if not name.endswith((".impl", ".block.size"))}

    assert told(str(tmp_path)) == told("s3://bucket/lake") == {}
    keys = told("s3://bucket/lake", key="env:SECRET", secret="env:SECRET", endpoint_url="http://127.0.0.1:9")
    assert keys["fs.s3a.bucket.bucket.secret.key"] == "geheim"
    assert keys["fs.s3a.bucket.bucket.connection.ssl.enabled"] == "false"
    assert told("gs://bucket/lake") == {"fs.gs.auth.type": "APPLICATION_DEFAULT"}
    assert told("gs://bucket/lake", anonymous=True)["fs.gs.auth.type"] == "UNAUTHENTICATED"
    assert told("gs://bucket/lake", credentials=f"file:{tmp_path}/key.json", project="p") == {
        "fs.gs.auth.type": "SERVICE_ACCOUNT_JSON_KEYFILE",
        "fs.gs.auth.service.account.json.keyfile": f"{tmp_path}/key.json",
        "fs.gs.project.id": "p",
    }
    with pytest.raises(ConfigError, match="from a file alone"):
        told("gs://bucket/lake", credentials="env:SECRET")
