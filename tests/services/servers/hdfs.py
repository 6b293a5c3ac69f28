"""HDFS: a real NameNode and DataNode in one Java process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from servers.installed import needs
from servers.process import Server, free_port, running

# An archive of classes (AppCDS) was tried: it saves 2 of 9 CPU seconds, and takes 30 s and 74 MB to make.
JAVA = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


@dataclass(frozen=True)
class HdfsServer(Server):
    """A NameNode of the loopback, and what a client needs to know of it."""

    @property
    def url(self) -> str:
        """The NameNode."""
        return f"hdfs://{self.host}:{self.port}"

    def client(self, url: str | None = None, **config: str) -> Any:
        """Return a client of hdfs-native; `url` may be a proxy's, `config` is Hadoop's own settings."""
        from hdfs_native import Client

        return Client(url or self.url, {"dfs.replication": "1", **config})

    def new_folder(self, prefix: str = "lake") -> str:
        """Make a folder that no other test has, and return its path."""
        path = f"/tests/{prefix}-{uuid4().hex[:12]}"
        self.client().mkdirs(path, create_parent=True)
        return path


@contextmanager
def hdfs(folder: Path, *settings: str) -> Iterator[HdfsServer]:
    """Run a NameNode and a DataNode over a folder; `settings` are Hadoop's, as `name=value`.

    It takes 10 to 40 seconds and 300 MB, so tests share one (`hdfs_server`). It is formatted only the first time:
    started again it has what it had.
    """
    home = needs("hdfs")
    details = folder / "details.json"

    def command(port: int) -> list[str]:
        details.unlink(missing_ok=True)
        places = [f"-Dtest.build.data={folder / 'data'}", f"-Dhadoop.log.dir={folder}", "-cp", f"{home / 'libs'}/*"]
        cluster = ["org.apache.hadoop.test.MiniDFSClusterManager", "-datanodes", "1", "-nnport", str(port)]
        said = ["-httpport", str(free_port()), "-writeDetails", str(details), "-D", "dfs.replication=1"]
        given = [word for setting in settings for word in ("-D", setting)]
        form = [] if (folder / "data" / "dfs").exists() else ["-format"]
        return [*JAVA, *places, *cluster, *said, *given, *form]

    # written once the DataNode has registered; the port opens seconds earlier
    with running(folder, command, lambda _: details.exists(), timeout=180) as (port, process):
        yield HdfsServer("127.0.0.1", port, folder, process)
