"""Imports flow emogan <- datasets <- trainers, never back, and never in a circle."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "emogan": {"datasets", "trainers", "tests", "notebooks"},
    "datasets": {"trainers", "tests", "notebooks"},
    "trainers": {"tests", "notebooks"},
}


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_flow_one_way(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    backwards = {str(file.relative_to(ROOT)): imported(file) & FORBIDDEN[package] for file in files}
    assert {file: names for file, names in backwards.items() if names} == {}


FLOORS = ("runs", "reports", "release", "stages", "study")
"""The packages of trainers/, in order; each imports none after it, and only commands import all."""


@pytest.mark.parametrize("package", FLOORS)
def test_packages_of_trainers_import_none_after_them(package):
    above = "|".join(FLOORS[FLOORS.index(package) + 1 :]) or "nothing"
    files = list((ROOT / "trainers" / package).rglob("*.py"))
    assert files
    for file in files:
        assert not re.findall(rf"(?m)^\s*(?:from|import) trainers\.(?:{above})\b", file.read_text()), file


def test_no_module_imports_itself_through_others():
    """Imports within functions and for type checking count too: they would only hide a circle."""
    files = {}
    for package in FORBIDDEN:
        for file in (ROOT / package).rglob("*.py"):
            files[".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = file
    imports: dict[str, set[str]] = {name: set() for name in files}
    for name, file in files.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imports[name] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                imports[name] |= whole & files.keys() or {node.module}
    graphlib.TopologicalSorter(imports).prepare()  # raises CycleError


def test_the_library_defines_flags_only_in_its_commands():
    users = [
        file.name
        for file in (ROOT / "emogan").rglob("*.py")
        if re.search(r"\bflags\.DEFINE_(?!flag\b)", file.read_text())
    ]
    assert sorted(users) == ["client.py", "page.py"]
