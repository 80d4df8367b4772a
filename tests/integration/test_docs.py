"""What the README tells people to type is typed here, and does what it says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
MARK = f"<!-- executed by tests/integration/{Path(__file__).name} -->"
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]


def marked_blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Give the language and text of the blocks of code that are marked to be executed."""
    yield from re.findall(rf"{re.escape(MARK)}\n```(\w+)\n(.*?)```", page.read_text(), re.DOTALL)


def test_the_readme_works_as_it_is_written(tmp_path: Path) -> None:
    (shell, commands), *programs = marked_blocks(CHECKOUT / "README.md")
    assert (shell, [language for language, _ in programs]) == ("bash", ["python", "python"])
    code = "\n".join(program for _, program in programs)
    # The environment that the tests run in stands for the one that is activated.
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    commands = commands.replace("source .venv/bin/activate\n", "")
    told = subprocess.run(
        ["bash", "-euc", f"{commands}\npython - <<'END'\n{code}\nEND"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "16 planes of 4 sites in 16 data sets" in told.stdout
    assert "experiment 1 (first): 16 planned planes" in told.stdout
    assert "16 extracted, 0 failed" in told.stdout
    assert "16 planes read: 16 whole, 0 damaged" in told.stdout
    assert told.stdout.count("(540, 540) uint16") == 4
    assert "CollectResult(planned=16, extracted=16, failed=0" in told.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_mark_has_its_block(page: Path) -> None:
    assert page.read_text().count(MARK) == len(list(marked_blocks(page)))
