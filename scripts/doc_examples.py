"""Run the examples of a page, and hold what they print against what the page says.

    .venv/bin/python scripts/doc_examples.py docs/ingest.md            # run
    .venv/bin/python scripts/doc_examples.py docs/ingest.md --write    # run, and write what was printed into it

A fenced block is an example if its language is `console` (lines that begin with `$ ` are run by bash, the others
are what they print) or `python` (run in one namespace per page). A block with `title="NAME"` is written to the
file NAME first, and not run. Ids, times, sizes and durations may differ.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

_BLOCK = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_NEEDS = re.compile(r"^<!-- examples need: (\w+) -->$", re.MULTILINE)
_TITLE = re.compile(r'title="([^"]+)"')

_VARYING = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?"), "TIME"),
    (re.compile(r"\bq?[0-9a-f]{7,64}\b"), "ID"),
    (re.compile(r"\b\d[\d,.]* (ms|s|B|kB|MB|GB|bytes)\b"), "AMOUNT"),
    (re.compile(r"\b\d+,\d{3} d\b"), "AGE"),  # of what happened years ago, which grows each midnight
    (re.compile(r"/tmp/[\w./-]+|/private/[\w./-]+|/var/[\w./-]+"), "FOLDER"),  # noqa: S108  (where examples ran)
    (re.compile(r"[ ─-]{2,}"), " "),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, the file it is (or None), its text, and where the text lies in the page."""

    language: str
    title: str | None
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a console block, and what the page says that it prints."""

    line: str
    expected: str


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    for found in _BLOCK.finditer(page):
        info = found["info"]
        title = _TITLE.search(info)
        yield Block(info.split()[0], title[1] if title else None, found["text"], found.start("text"))


def commands(text: str) -> Iterator[Command]:
    """Yield the commands of a console block; a line that begins with `> ` goes on with the command."""
    for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *rest = piece.splitlines()
        while rest and rest[0].startswith("> "):
            line += "\n" + rest.pop(0)[2:]
        yield Command(line, "\n".join(rest).strip("\n"))


def same(expected: str, printed: str) -> bool:
    """Tell whether two texts are the same but for ids, times, amounts and widths; `…` alone stands for any lines."""
    wanted = [re.escape(line).replace("…", ".*") for line in _masked(expected).splitlines()]
    pattern = "\n".join(line if line != ".*" else "(?s:.*)" for line in wanted)
    return re.fullmatch(pattern, _masked(printed)) is not None


def _masked(text: str) -> str:
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


def run(command: Command, folder: Path) -> str:
    """Run one command as a person would in `folder`; return what it prints, errors too."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    env = {**os.environ, "PATH": path, "NO_COLOR": "1", "USER": "ada", "LOGNAME": "ada", "HOSTNAME": "host"}
    env.pop("DATAPLAT_LAKE", None)
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{command.line}"],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    failed = done.returncode and not re.search(r"^error:|^rows: ", done.stdout, re.MULTILINE)
    return done.stdout.rstrip("\n") + (f"\n[exit code {done.returncode}]" if failed else "")


def run_page(path: Path, folder: Path) -> Iterator[tuple[Block, Command, str]]:
    """Run every example of a page in `folder`; yield (block, command, what it printed) of the console ones."""
    page = path.read_text("utf-8")
    needs = _NEEDS.search(page)
    with _SERVED[needs[1]]() if needs else contextlib.nullcontext():
        yield from _run_blocks(path, page, folder)


@contextlib.contextmanager
def _environment(given: dict[str, str], without: str) -> Iterator[None]:
    """Have variables in the environment, and none that begins with `without`."""
    before = dict(os.environ)
    for variable in [name for name in os.environ if name.startswith(without)]:
        del os.environ[variable]
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _s3() -> Iterator[None]:
    """Run a real S3 server with the bucket `team-data`, as the environment has it."""
    sys.path.append(str(ROOT / "tests" / "services"))
    import s3fs

    from servers import versitygw

    with tempfile.TemporaryDirectory() as name, versitygw(Path(name)) as server:
        s3fs.S3FileSystem(**server.options()).call_s3("create_bucket", Bucket="team-data")
        with _environment(server.environment(), "AWS_"):
            yield


@contextlib.contextmanager
def _kafka() -> Iterator[None]:
    """Run a real Kafka, and a schema registry: the environment has where as BROKER and REGISTRY."""
    sys.path.append(str(ROOT / "tests" / "services"))
    from servers.installed import needs, services
    from servers.registry import Registry

    with (
        tempfile.TemporaryDirectory() as name,
        services.kafka_broker(needs("kafka"), Path(name) / "broker", "-XX:SharedArchiveFile=kafka.jsa") as port,
        Registry() as registry,
        _environment({"BROKER": f"127.0.0.1:{port}", "REGISTRY": registry.url}, "DATAPLAT_"),
    ):
        yield


@contextlib.contextmanager
def _labels() -> Iterator[None]:
    """Run a fake Label Studio with accounts, on which everybody answers what comes."""
    import threading

    from dataplat.testing.label_server import FakeLabelStudio

    def answer_all(site: FakeLabelStudio, ids: dict[str, int], over: threading.Event) -> None:
        while not over.wait(0.02):
            owners = {project.id: project.description.rpartition(":")[2] for project in site.projects}
            for task in site.tasks():
                who = owners[task.project]
                if not task.annotations:
                    site.answer(task.id, ids[who], _said(who, task.data), lead_time=4.0)

    with FakeLabelStudio() as site, tempfile.TemporaryDirectory() as home:
        ids = {name: site.add_user(name) for name in ("anna", "bob", "cy")}
        over = threading.Event()
        people = threading.Thread(target=answer_all, args=(site, ids, over))
        people.start()
        try:
            with _environment(
                {"LABEL_STUDIO_URL": site.url, "LABEL_STUDIO_API_KEY": site.token, "XDG_DATA_HOME": home},
                "LABEL_STUDIO_",
            ):
                yield
        finally:
            over.set()
            people.join()


def _said(who: str, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what somebody says of a delayed flight; bob takes storms of an hour for the carrier's fault."""
    late = float(data["dep_delay"])
    storm = 90 if who == "bob" else 60
    said = "other" if late < 20 else "weather" if late >= storm else "carrier"
    return [{"id": "a", "from_name": "label", "to_name": "carrier", "type": "choices", "value": {"choices": [said]}}]


@contextlib.contextmanager
def _features() -> Iterator[None]:
    """Have a state folder of one's own, where online stores are, and a free port; end the server that a page left running."""
    import signal
    import socket

    with tempfile.TemporaryDirectory() as home, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        pid = Path(home) / "serve.pid"
        given = {"XDG_STATE_HOME": home, "XDG_CACHE_HOME": home, "PORT": str(port), "PID": str(pid)}
        with _environment(given, "DATAPLAT_"):
            try:
                yield
            finally:
                if pid.exists():
                    with contextlib.suppress(ProcessLookupError, ValueError):
                        os.kill(int(pid.read_text()), signal.SIGTERM)


_SERVED = {"s3": _s3, "kafka": _kafka, "labels": _labels, "features": _features}


def _run_blocks(path: Path, page: str, folder: Path) -> Iterator[tuple[Block, Command, str]]:
    namespace: dict[str, Any] = {"__name__": "__page__"}
    for block in blocks(page):
        if block.title is not None:
            target = folder / block.title
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, "utf-8")
        elif block.language == "console":
            for command in commands(block.text):
                yield block, command, run(command, folder)
        elif block.language == "python":
            with contextlib.chdir(folder):
                exec(compile(block.text, f"{path.name}: {block.text.splitlines()[0]}", "exec"), namespace)  # noqa: S102


def rewritten(path: Path, folder: Path) -> str:
    """Return the page with what its commands printed now."""
    page = path.read_text("utf-8")
    printed: dict[int, list[str]] = {}
    sources: dict[int, Block] = {}
    for block, command, output in run_page(path, folder):
        shown = command.line.replace("\n", "\n> ")
        kept = command.expected if same(command.expected, output) else output
        printed.setdefault(block.start, []).append(f"$ {shown}\n{kept}\n" if kept else f"$ {shown}\n")
        sources[block.start] = block
    for start in sorted(printed, reverse=True):
        page = page[:start] + "".join(printed[start]) + page[start + len(sources[start].text) :]
    return page


def main(path: Path, *, write: bool) -> int:
    """Run or rewrite one page."""
    with tempfile.TemporaryDirectory() as name:
        if write:
            path.write_text(rewritten(path, Path(name)), "utf-8")
            return 0
        wrong = 0
        for _, command, printed in run_page(path, Path(name)):
            if not same(command.expected, printed):
                print(f"{path}: $ {command.line}\nsays:\n{command.expected}\nprinted:\n{printed}\n")
                wrong += 1
        return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(max(main(Path(name), write="--write" in sys.argv) for name in sys.argv[1:] if name != "--write"))
