"""The face of `ckks`: few names, which the packages have too, and a door before each function of them."""

import ast
import importlib
import inspect
import pathlib

import pytest

from fhejax import ckks

PACKAGES = (
    "bootstrapping",
    "encoding",
    "encryption",
    "evaluation",
    "files",
    "keys",
    "linear_transform",
    "noise",
    "parameters",
    "polynomial",
)
MOST_NAMES = 45
FOLDER = pathlib.Path(ckks.__file__).parent
OWN_CHECKS = {"insecure_parameters", "make_parameters", "validate"}


def test_the_face_has_few_names():
    assert len(ckks.__all__) == len(set(ckks.__all__)) <= MOST_NAMES


def test_all_that_is_on_the_face_belongs_to_a_package():
    for name in ckks.__all__:
        homes = [package for package in PACKAGES if name in getattr(ckks, package).__all__]
        assert homes, name
        assert all(getattr(getattr(ckks, home), name) is getattr(ckks, name) for home in homes)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_door_stands_before_every_function(package):
    module = importlib.import_module(f"fhejax.ckks.{package}")
    assert getattr(ckks, package) is module
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value):
            assert (value.__module__ == module.__name__) == (name not in OWN_CHECKS), name


def test_within_ckks_nothing_goes_through_a_door():
    """Modules import functions from the modules that define them."""
    for path in FOLDER.rglob("*.py"):
        if path.name in ("__init__.py", "evaluation.py") and path.parent in (FOLDER, *FOLDER.iterdir()):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in {f"fhejax.ckks.{p}" for p in PACKAGES}:
                names = {alias.name for alias in node.names}
                folder = FOLDER / node.module.rsplit(".", 1)[1]
                assert names <= {module.stem for module in folder.glob("*.py")}, (path, names)
