"""The import law of the house, read from the source: who may import whom, and where the heavy libraries are."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = {
    "common": set(),
    "lanes": {"common"},
    "sandbox": {"common"},
    "probes": {"common", "lanes", "sandbox"},
    "evaluation": {"common", "lanes", "sandbox", "probes"},
    "preferences": {"common", "lanes", "sandbox", "probes"},
    "agent": {"common", "lanes", "sandbox", "probes", "evaluation", "preferences"},
    "finetune": {"common", "lanes", "sandbox", "probes", "evaluation", "preferences"},
    "view": {"common", "lanes", "sandbox", "probes", "evaluation", "preferences", "agent", "finetune"},
    "integrations": {"common", "lanes", "sandbox", "probes", "evaluation", "preferences", "agent", "finetune", "view"},
}
"""Each package with the packages it may import. testing, labs and bench may import all of these; cli everything."""

ABOVE = {"testing", "labs", "bench"}
EVERYTHING = {*LAYERS, *ABOVE, "cli"}
READ_BY_A_COMMAND = {
    "full_length_files.py",
    "machine.py",
    "promotion_candidates.py",
    "recipe_choice.py",
    "reference.py",
}
"""The files of cli that are not read when the command starts, so they may import other packages at their top."""

FAULTS = ROOT / "bench" / "faults"
RUN_COMMANDS = {
    *(FAULTS / name for name in ("damaged_files.py", "scenarios/scenario.py")),
    *(FAULTS / "scenarios" / "commands" / name for name in ("other.py", "ship.py")),
}
"""They run the commands of the product in forked processes, under faults."""

HEAVY = {"torch", "transformers", "trl", "peft"}
LOADS_MODELS = (
    "probes/model/",
    "probes/memory/",
    "probes/train/",
    "probes/rendering/chat_template.py",
    "probes/generate/decoding.py",
    "probes/generate/sampler.py",
    "probes/run/peak_memory.py",
    "probes/run/workbench.py",
    "probes/run/worker.py",
    "evaluation/logits.py",
    "evaluation/merging.py",
    "finetune/export/",
    "finetune/processes.py",
    "finetune/watch/callback.py",
    "finetune/watch/trackers.py",
    "finetune/objectives/kto.py",
    "finetune/objectives/reward.py",
)


@cache
def nodes(path: Path) -> list[ast.AST]:
    return [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


@cache
def imports(path: Path) -> set[str]:
    """Top-level packages, also of what importlib is given: a text, or one that begins with a text."""
    names = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            names |= {text.split(".")[0] for text in texts(node.args[0])}
    return names


def texts(code: Path | ast.AST) -> list[str]:
    """Every text in the code; of one with values in it, what stands before the first."""
    inside = nodes(code) if isinstance(code, Path) else [*ast.walk(code)]
    parts = {part for node in inside if isinstance(node, ast.JoinedStr) for part in node.values[1:]}
    found = [node for node in inside if isinstance(node, ast.Constant) and node not in parts]
    return [node.value for node in found if isinstance(node.value, str)]


def files_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", LAYERS)
def test_a_package_imports_only_the_packages_below_it(package: str) -> None:
    for path in files_of(package):
        forbidden = imports(path) & (EVERYTHING - LAYERS[package] - {package})
        assert not forbidden, f"{path.relative_to(ROOT)} imports {forbidden}"


@pytest.mark.parametrize("package", sorted(ABOVE))
def test_nothing_but_the_command_line_imports_the_command_line(package: str) -> None:
    for path in files_of(package):
        assert "cli" not in imports(path) or path in RUN_COMMANDS, path.relative_to(ROOT)


def test_the_figures_of_view_import_nothing_that_shows_them() -> None:
    for path in sorted((ROOT / "view" / "data").rglob("*.py")):
        names = {
            node.module
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
        }
        shown = {name for name in names if name and name.startswith("view.") and not name.startswith("view.data")}
        assert shown <= {"view.markdown"}, f"{path.relative_to(ROOT)} imports {shown}"


def test_common_needs_the_standard_library_alone() -> None:
    for path in files_of("common"):
        assert imports(path) <= {*sys.stdlib_module_names, "common"}, path.relative_to(ROOT)


def test_the_command_line_imports_other_packages_only_when_a_command_runs() -> None:
    for path in files_of("cli"):
        if path.name not in READ_BY_A_COMMAND and path.parent.name != "json_output":
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ImportFrom) and node.module:
                    assert node.module.split(".")[0] not in EVERYTHING - {"cli", "common"}, path.relative_to(ROOT)


def test_no_other_file_names_a_lab_as_a_module() -> None:
    for package in LAYERS:
        for path in files_of(package):
            named = [text for text in texts(path) if re.match(r"labs(\.|$)", text)]
            assert not named, f"{path.relative_to(ROOT)} names {named}"


def test_heavy_libraries_are_imported_only_where_a_model_is_trained_or_asked() -> None:
    for package in LAYERS:
        for path in files_of(package):
            if imports(path) & HEAVY:
                assert str(path.relative_to(ROOT)).startswith(LOADS_MODELS), path


def test_optional_packages_are_loaded_only_where_they_are_used() -> None:
    """The code gate's harness with hypothesis is itself loaded when it is used; labs write contracts without it."""
    script = (
        "import sys, agent.loop.graph, finetune.run, labs.microcoder.contracts, view.pairs.certify; "
        "print(sorted({'coverage', 'hypothesis', 'py3langid', 'pyflakes', 'sklearn', 'matplotlib', "
        "'inspect_ai', 'lm_eval'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    script = (
        "import sys, cli.main; "
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
