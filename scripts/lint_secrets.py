"""Hold what no committed file may name: a package index, a place on somebody's machine, a secret."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# One letter in brackets, so that this file does not name them either.
FORBIDDEN: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a package index host", re.compile(r"\b(?:[p]ythonhosted|[p]ypi)\.org|\b[t]est\.pypi\b")),
    ("a package index host", re.compile(r"[r]egistry\.(?:npmjs|yarnpkg)\.|[r]epo\d?\.maven\.|[p]roxy\.golang\.")),
    ("a package index option", re.compile(r"--(?:extra-)?[i]ndex-url[ =]\S*://|--[f]ind-links[ =]\S*/")),
    ("a path of one machine", re.compile(r"(?<![\w.~-])/(?:[h]ome|[U]sers|[r]oot|[w]ork|[m]nt)/[\w.-]+")),
    ("a secret", re.compile(r"[A]KIA[0-9A-Z]{16}|-----[B]EGIN [A-Z ]*PRIVATE KEY|\bgh[p]_[A-Za-z0-9]{36}")),
    ("a secret", re.compile(r"://[^\s/:@{}<>$\[]+:[^\s/@{}<>$]{3,}@(?!localhost|127\.)[\w.-]+")),
)


def committed() -> list[Path]:
    """Return every file that git knows of, or would take in."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def problems_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, what is wrong) of one file's text."""
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in FORBIDDEN:
            if found := pattern.search(line):
                yield number, f"{what}: {found.group()}"


def problems() -> Iterator[str]:
    """Yield one line for every such name in a committed text file."""
    for path in committed():
        if path.is_symlink() or not path.is_file():
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # not a text
        yield from (f"{path.relative_to(ROOT)}:{number}: {what}" for number, what in problems_in(text))


if __name__ == "__main__":
    found = list(problems())
    print("\n".join(found) or "no index host, machine path or secret in a committed file")
    sys.exit(bool(found))
