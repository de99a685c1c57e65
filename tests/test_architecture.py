"""The code of the page on how fhejax is built runs, and prints what the page says it prints."""

import contextlib
import io
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
# Each block of Python, and what is printed by it where the page shows that.
BLOCKS = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", TEXT, re.DOTALL | re.MULTILINE)


def test_the_page_prints_what_it_says():
    names = {"__name__": "network"}
    for code, expected in BLOCKS:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "network.py", "exec"), names)
        assert printed.getvalue() == expected, code
    assert len(BLOCKS) == TEXT.count("```python") > 8


def test_every_path_on_the_page_exists():
    """Paths are given from the root, from the package, from `program` or from a room of it."""
    paths = set(re.findall(r"`([\w/]+(?:\.py|/))`", TEXT))
    assert len(paths) > 30
    for path in paths:
        assert any(found.as_posix().endswith(path.rstrip("/")) for found in all_paths()), path


def all_paths():
    folders = (ROOT / "fhejax", ROOT / "tests")
    return [path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts]
