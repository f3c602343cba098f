"""persona: a small study of a voice. A model learns to answer as Edda Marrow, a lighthouse keeper; an LLM judge with a
rubric, or a list of rules, scores it.

    python -m labs.persona               make the material under labs/persona/build/ (about a minute, once)
    python -m labs.persona --measure     train and score the recipes of the README's table under the rules

`study.toml` beside this file needs a judge; `study-rules.toml` runs offline. Importing this package imports no torch.
"""

from labs.persona.material import build

__all__ = ["build"]
