"""The architecture: imports point down, importing is light, functions and files are small."""

import ast
import pathlib
import statistics
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parents[2] / "fhejax"
ALLOWED = {
    "ring": {"ring"},
    "approx": {"approx"},
    "ckks": {"ckks", "ring", "approx"},
    "program": {"program", "ckks", "approx", "ring"},
    "nn": {"nn", "approx"},
}
# Within `program`: each room sees those before it, and the compiler itself all of them.
ROOMS = ("arguments", "tensor", "circuit", "packing", "levels", "costs", "run")
MOST_MODULES = 16
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 60


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            if node.module == "fhejax":
                yield from (f"fhejax.{alias.name}" for alias in node.names)


def body_length(function):
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_down(path):
    modules = set(imported(ast.parse(path.read_text())))
    assert not any(m.split(".")[0] in ("experiments", "benchmarks", "tests") for m in modules)
    package = path.relative_to(PACKAGE).parts[0]
    if package in ALLOWED:
        ours = {m.split(".")[1] for m in modules if m.startswith("fhejax.")}
        assert ours <= ALLOWED[package]


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_of_the_compiler_see_those_below(room):
    program = PACKAGE / "program"
    files = [program / f"{room}.py"] if (program / f"{room}.py").exists() else (program / room).rglob("*.py")
    modules = {m for path in files for m in imported(ast.parse(path.read_text()))}
    seen = {m.split(".")[2] for m in modules if m.startswith("fhejax.program.")}
    assert seen <= set(ROOMS[: ROOMS.index(room) + 1])
    assert "fhejax.program" not in modules


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=name_of)
def test_folders_have_few_modules(folder):
    assert len(list(folder.glob("*.py"))) <= MOST_MODULES


def test_most_functions_are_short():
    trees = (ast.walk(ast.parse(path.read_text())) for path in FILES)
    lengths = [body_length(node) for tree in trees for node in tree if isinstance(node, ast.FunctionDef)]
    assert statistics.median(lengths) < 10


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_small_and_quiet(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert body_length(node) <= LONGEST_FUNCTION, node.name
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "jax.config.update"), node.lineno
        assert not isinstance(node, ast.Global), node.lineno


def test_importing_is_light_and_changes_nothing():
    code = """
import sys, jax
before = dict(jax.config.values)
import fhejax
heavy = {"flax", "optax", "matplotlib", "sklearn", "scipy", "safetensors"} & set(sys.modules)
mine = {m for m in heavy if m != "scipy"}  # JAX itself imports scipy
assert not mine, mine
assert dict(jax.config.values) == before
assert not [m for m in sys.modules if m.startswith(("experiments", "fhejax.nn"))]
fhejax.nn
assert "flax" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent, timeout=120)


def test_public_names_exist():
    import fhejax

    assert all(hasattr(fhejax, name) for name in fhejax.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fhejax.nothing  # noqa: B018
