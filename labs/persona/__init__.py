"""persona: a small study of a voice. Edda Marrow, who kept a light, answers questions; a rubric or rules judge her.

    python -m labs.persona               make the material under labs/persona/build/ (about a minute, once)
    python -m labs.persona --measure     train and score the recipes of the README's table under the rules

`study.toml` beside this file asks a judge, `study-rules.toml` runs offline. Importing this package imports no torch.
"""

from labs.persona.material import build

__all__ = ["build"]
