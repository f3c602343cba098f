"""What stands around the code: metadata, typed packages, and the checks before a commit."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = sorted(path.parent for path in ROOT.glob("*/__init__.py"))


def test_every_package_is_installed_and_typed() -> None:
    patterns = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert sorted(pattern.removesuffix("*") for pattern in patterns) == [package.name for package in PACKAGES]
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["*"]
    for package in PACKAGES:
        assert (package / "py.typed").exists(), package


def test_a_commit_is_checked_as_make_check_does() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    made = {line.removeprefix("\t$(BIN)/").removesuffix(" .") for line in recipe[1].splitlines()}
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"entry: (.*)", hooks)) == made
