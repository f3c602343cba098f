"""The optional dependencies of nightlane, and the message where they are needed and not installed."""

from importlib.util import find_spec

from common.errors import MissingRequirement

EXTRAS = {
    "gate": {
        "coverage": "coverage",
        "hypothesis": "hypothesis",
        "py3langid": "py3langid",
        "pyflakes": "pyflakes",
        "sklearn": "scikit-learn",
    },
    "gguf": {"gguf": "gguf"},
    "llama-cpp": {"gguf": "gguf", "sentencepiece": "sentencepiece"},
    "inspect": {"inspect_ai": "inspect-ai"},
    "lm-eval": {"lm_eval": "lm-eval"},
    "notify": {"apprise": "apprise"},
    "ray": {"ray": "ray"},
    "bench": {"matplotlib": "matplotlib"},
}
"""Extra of pyproject.toml -> module -> the package that installs it."""


def require_extra(extra: str, what: str) -> None:
    """MissingRequirement with the command to run where a package that ``what`` needs is not installed."""
    missing = [package for module, package in EXTRAS[extra].items() if find_spec(module) is None]
    if missing:
        raise MissingRequirement(
            f"{what} needs packages that are not installed ({', '.join(missing)}); "
            f"run: pip install 'nightlane[{extra}]'"
        )
