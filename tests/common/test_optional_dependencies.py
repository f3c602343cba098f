"""Optional dependencies: pyproject.toml names the same packages, and one that is missing is answered by a command."""

import re
import tomllib
from pathlib import Path

import pytest
from refusals import refusal

from common import optional_dependencies
from common.errors import MissingRequirement
from common.optional_dependencies import EXTRAS, require_extra

PYPROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_holds_the_packages_that_pyproject_names_for_it(extra: str) -> None:
    named = PYPROJECT["project"]["optional-dependencies"][extra]
    assert sorted(re.split("[<>=]", one)[0] for one in named) == sorted(EXTRAS[extra].values())


def test_an_installed_extra_is_enough() -> None:
    assert refusal(require_extra, "gate", "a test") == ""


def test_a_missing_package_is_answered_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional_dependencies, "find_spec", lambda module: None if module == "sklearn" else module)
    with pytest.raises(
        MissingRequirement, match=r"^certify needs .*\(scikit-learn\); run: pip install 'nightlane\[gate\]'$"
    ):
        require_extra("gate", "certify")
