"""The import law of the house, read from the source: who may import whom, and where the heavy libraries are."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = {
    "lanes": set(),
    "sandbox": set(),
    "probes": {"lanes", "sandbox"},
    "preferences": {"lanes", "sandbox", "probes"},
    "agent": {"lanes", "sandbox", "probes", "preferences"},
    "finetune": {"lanes", "sandbox", "probes", "preferences"},
    "view": {"lanes", "sandbox", "probes", "preferences", "agent", "finetune"},
}
EVERYTHING = {*LAYERS, "labs", "bench"}
COMMANDS = {ROOT / "agent" / f"{name}.py" for name in ("command_line", "command_options", "pairs_commands")}
HEAVY = {"torch", "transformers", "trl", "peft"}
TRAINS_OR_GENERATES = {
    "adapter.py", "architecture.py", "base.py", "combined.py", "embedding.py", "generation.py", "orpo.py",
    "sft_adapter.py", "targets.py", "training.py", "measure.py", "worker.py",
}  # fmt: skip


def imports(path: Path) -> set[str]:
    """Top-level packages, also of what importlib is given: a text, or one that begins with a text."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            names |= {text.split(".")[0] for text in texts(node.args[0])}
    return names


def texts(code: Path | ast.AST) -> list[str]:
    """Every text in the code; of one with values in it, what stands before the first."""
    tree = ast.parse(code.read_text(encoding="utf-8")) if isinstance(code, Path) else code
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values[1:]}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in parts]
    return [node.value for node in found if isinstance(node.value, str)]


@pytest.mark.parametrize("package", [name for name in LAYERS if (ROOT / name).is_dir()])
def test_a_package_imports_only_the_layers_below_it(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        if path in COMMANDS:
            continue
        forbidden = imports(path) & (EVERYTHING - LAYERS[package] - {package})
        assert not forbidden, f"{path.relative_to(ROOT)} imports {forbidden}"


def test_only_the_command_line_reaches_view_and_labs_and_not_at_import() -> None:
    own = {f"agent.{path.stem}" for path in COMMANDS}
    for path in COMMANDS:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module not in own:
                assert node.module.split(".")[0] not in {"view", "labs", "bench", "probes", "agent"}
    assert {"view", "bench", "labs"} <= set().union(*map(imports, COMMANDS))


def test_no_other_file_names_a_lab_as_a_module() -> None:
    for package in LAYERS:
        for path in (ROOT / package).rglob("*.py"):
            named = [text for text in texts(path) if re.match(r"labs(\.|$)", text)]
            assert not named or path in COMMANDS, f"{path.relative_to(ROOT)} names {named}"


def test_heavy_libraries_are_imported_only_where_a_model_is_trained_or_asked() -> None:
    for package in LAYERS:
        for path in (ROOT / package).rglob("*.py"):
            if imports(path) & HEAVY:
                assert path.parent.name == "probes", path
                assert path.name in TRAINS_OR_GENERATES, path


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    script = (
        "import sys, agent.command_line; "
        "heavy = {'torch', 'transformers', 'trl', 'peft', 'langgraph', 'optuna', 'pandas', 'openai', 'numpy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_every_package_of_the_house_says_what_it_is() -> None:
    for package in EVERYTHING:
        init = ROOT / package / "__init__.py"
        if init.exists():
            assert ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))), init
