"""Jars that Spark needs for streams and stores, pinned to what one version of Spark goes with.

They come from Maven Central by Spark's own resolver (Ivy), or from a folder where there is no network. Of S3A's the
bundle of all of AWS (686 MB) is left out, and what Spark has itself of all of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataplat.errors import ConfigError

SPARK = "4.2.0"
_AWS = "2.35.4"
_AWS_NEEDS = (
    "annotations",
    "arns",
    "auth",
    "aws-core",
    "aws-query-protocol",
    "aws-xml-protocol",
    "checksums",
    "checksums-spi",
    "crt-core",
    "endpoints-spi",
    "http-auth",
    "http-auth-aws",
    "http-auth-aws-eventstream",
    "http-auth-spi",
    "http-client-spi",
    "identity-spi",
    "json-utils",
    "metrics-spi",
    "profiles",
    "protocol-core",
    "regions",
    "retries",
    "retries-spi",
    "sdk-core",
    "third-party-jackson-core",
    "utils",
    "utils-lite",
)
"""Of AWS's packages those without which none of ours starts: a folder that lacks one is found out before Java is."""


@dataclass(frozen=True, slots=True)
class Jars:
    """What one ability of Spark needs.

    Attributes:
        packages: Maven coordinates, without the version of Scala left out.
        loads: a class of them, by which a session that runs is asked whether it has them.
        what: what they are for, in words.
        besides: names of the files that come along because the packages need them.
        hadoop: what Hadoop has to be told to use them.
    """

    packages: tuple[str, ...]
    loads: str
    what: str
    besides: tuple[str, ...] = ()
    hadoop: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that Maven gives the packages."""
        return tuple(_file(package) for package in self.packages)


EXTRAS = {
    "kafka": Jars(
        (
            f"org.apache.spark:spark-sql-kafka-0-10_2.13:{SPARK}",
            f"org.apache.spark:spark-token-provider-kafka-0-10_2.13:{SPARK}",
            "org.apache.kafka:kafka-clients:3.9.2",
            "org.apache.commons:commons-pool2:2.13.1",
        ),
        "org.apache.spark.sql.kafka010.KafkaSourceProvider",
        "Kafka",
    ),
    "s3": Jars(
        (
            "org.apache.hadoop:hadoop-aws:3.5.0",
            f"software.amazon.awssdk:s3:{_AWS}",
            f"software.amazon.awssdk:s3-transfer-manager:{_AWS}",
            f"software.amazon.awssdk:sts:{_AWS}",
            f"software.amazon.awssdk:apache-client:{_AWS}",
        ),
        "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "S3 (s3a://)",
        (
            *(f"{name}-{_AWS}.jar" for name in _AWS_NEEDS),
            "eventstream-1.0.1.jar",
            "reactive-streams-1.0.4.jar",
            "analyticsaccelerator-s3-1.3.1.jar",
        ),
    ),
    "gcs": Jars(
        ("com.google.cloud.bigdataoss:gcs-connector:4.0.4:shaded",),
        "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem",
        "GCS (gs://)",
        hadoop={  # Hadoop 3.5 takes one of its own for granted, which is not among Spark's jars
            "fs.gs.impl": "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem",
            "fs.AbstractFileSystem.gs.impl": "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFS",
            "fs.gs.block.size": str(64 << 20),  # "64m" there, which this one does not read
        },
    ),
}
EXCLUDED = (
    "software.amazon.awssdk:bundle",
    "com.github.luben:zstd-jni",
    "com.google.code.findbugs:jsr305",
    "commons-codec:commons-codec",
    "commons-logging:commons-logging",
    "at.yawk.lz4:lz4-java",
    "org.lz4:lz4-java",
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
    "org.apache.spark:spark-tags_2.13",
    "org.scala-lang.modules:scala-parallel-collections_2.13",
    "org.scala-lang:scala-library",
    "org.slf4j:slf4j-api",
    "org.xerial.snappy:snappy-java",
    "software.amazon.awssdk:netty-nio-client",
)
"""What Spark has itself, and the bundle."""

_BY_SCHEME = {"s3": "s3", "s3a": "s3", "gs": "gcs", "kafka": "kafka"}
_VERSION = re.compile(r"-\d[^/]*\.jar$")


def extras_of(url: str) -> tuple[str, ...]:
    """Return which extras are needed where `url` is read or written by Spark itself."""
    extra = _BY_SCHEME.get(url.partition("://")[0].lower()) if "://" in url else None
    return () if extra is None else (extra,)


def check_extras(extras: Iterable[str]) -> tuple[str, ...]:
    """Return extras once each, in order of name; raise `ConfigError` for one that is not there."""
    asked = sorted(set(extras))
    for extra in asked:
        if extra not in EXTRAS:
            raise ConfigError(f"there are no jars called {extra!r}: extras are {', '.join(EXTRAS)}")
    return tuple(asked)


def packages_of(extras: Iterable[str]) -> list[str]:
    """Return the Maven coordinates of extras.

    Raises:
        ConfigError: Spark's resolver cannot fetch them, since it knows no classifiers (`shaded`).
    """
    packages = [package for extra in extras for package in EXTRAS[extra].packages]
    for package in packages:
        if package.count(":") > 2:
            raise ConfigError(
                f"Spark cannot fetch {_file(package)} by itself: bring it into a folder and name that (jars=…, or "
                f"DATAPLAT_SPARK_JARS), for example by `mvn dependency:copy -Dartifact={_with_kind(package)} "
                "-DoutputDirectory=FOLDER`"
            )
    return packages


def files_of(folder: Path, extras: Sequence[str], there: Collection[str] = ()) -> list[Path]:
    """Return the jars of a folder that Spark lacks, after looking that those of `extras` are among them.

    Args:
        folder: jars, as Maven or Ivy names them.
        extras: what has to be there.
        there: names of the files that Spark has itself; other versions of these are left out.

    Raises:
        ConfigError: the folder is not there, or lacks a jar.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}, where Spark's jars were to be taken from")
    found = {_plain(path.name): path for path in sorted(folder.glob("*.jar"))}
    wanted = [name for extra in extras for name in (*EXTRAS[extra].files, *EXTRAS[extra].besides)]
    lacking = [name for name in wanted if name not in found]
    if lacking:
        raise ConfigError(
            f"{folder} lacks {', '.join(lacking)}: bring these exact versions there (a session that had a network keeps "
            "what it fetched in ~/.ivy2.5.2/jars), or leave the folder out to have them fetched"
        )
    own = {_VERSION.sub("", name) for name in there}
    return [path for name, path in found.items() if _VERSION.sub("", name) not in own]


def _plain(name: str) -> str:
    """Return the name that Maven gives a file which Ivy called `group_artifact-version.jar`."""
    group, separator, rest = name.partition("_")
    return rest if separator and "." in group and "-" not in group else name


def _with_kind(package: str) -> str:
    group, artifact, version, classifier = package.split(":")
    return f"{group}:{artifact}:{version}:jar:{classifier}"


def _file(package: str) -> str:
    _, artifact, *rest = package.split(":")
    return "-".join([artifact, *rest]) + ".jar"
