"""What the pages say is so: every example runs and prints what it says, references are generated, nothing is missing."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
sys.path.append(str(ROOT / "scripts"))  # scripts are run by path; one imports another


def script(name):
    """Load one of the scripts."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = sys.modules.setdefault(name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


examples = script("doc_examples")
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
RUN = [page for page in PAGES if any(b.language in {"console", "python"} for b in examples.blocks(page.read_text()))]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_print_what_the_page_says(page, tmp_path, monkeypatch):
    """Every console and python block of the page runs, in order, in an empty folder; outputs are as written."""
    monkeypatch.delenv("DATAPLAT_LAKE", raising=False)
    for _, command, printed in examples.run_page(page, tmp_path):
        assert examples.same(command.expected, printed), f"$ {command.line}\n{command.expected}\n--- printed\n{printed}"


def test_the_comparison_is_not_blind():
    """Ids, times, sizes and widths may differ; words and counts may not; … stands for anything on its line or alone."""
    assert examples.same("version 0123456789ab  3 rows", "version fedcba987654    3 rows")
    assert examples.same("12.3 MB in 40 ms\nat 2026-11-01 10:00:00Z", "9.1 MB in 1.2 s\nat 2027-01-01 00:00:01Z")
    assert not examples.same("3 rows", "4 rows")
    assert not examples.same("a", "a\nb")
    assert examples.same("a\n…\nd", "a\nb\nc\nd")
    assert examples.same("a … d", "a b c d")
    assert not examples.same("a…", "b")


def test_commands_and_continuations_are_read():
    """A console block is commands with their output; `> ` goes on with a command."""
    found = list(examples.commands("$ one \\\n>   more\nout\n\nout2\n$ two\n"))
    assert [(c.line, c.expected) for c in found] == [("one \\\n  more", "out\n\nout2"), ("two", "")]


@pytest.mark.parametrize("name", ["cli_reference", "api_reference"])
def test_generated_pages_are_up_to_date(name):
    """The references in the repository are what the code says now."""
    module = script(name)
    assert module.page() == module.PAGE.read_text("utf-8"), "run `make reference`"


def test_every_command_and_option_is_documented():
    """Every command is in the CLI reference, with every option, and every option and argument has a help."""
    module = script("cli_reference")
    page = module.PAGE.read_text("utf-8")
    for name, command in module.commands():
        assert f"\n## {name}\n" in page
        for param in command.params:
            if param.param_type_name == "option":
                assert param.opts[-1] in page
                assert param.help or param.name in {"mode", "from_"}, (name, param.name)


def test_every_task_command_is_shown_in_a_page():
    """Every command is used in an example of the pages by task, not only listed in the reference."""
    shown = "\n".join(page.read_text("utf-8") for page in PAGES if "reference" not in page.parts)
    for name, _ in script("cli_reference").commands():
        assert name in shown, name


def test_every_exit_code_is_in_the_page():
    """The page of exit codes lists those that there are."""
    from dataplat.cli._exits import MEANINGS

    listed = re.findall(r"^\| (\d+) \|", (DOCS / "reference" / "exit-codes.md").read_text(), re.MULTILINE)
    assert [int(code) for code in listed] == list(MEANINGS)


def test_relative_links_lead_somewhere():
    """A link to a file of the repository names one that is there."""
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_the_picture_is_what_its_script_draws():
    """The picture in the repository is drawn by scripts/picture.py as it is now."""
    module = script("picture")
    assert module.TARGET.read_text("utf-8") == module.drawing()


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    """Mkdocs builds every page strictly: no broken link, no page outside of the navigation."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "getting-started" / "index.html").exists()
