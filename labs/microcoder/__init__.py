"""microcoder: a complete small study. A decoder of a million parameters writes Python functions from a comment.

    python -m labs.microcoder            make the material under labs/microcoder/build/ (about two minutes, once)
    python -m labs.microcoder --measure  train and score the recipes of the README's table

`study.toml` next to this file is the study. Importing this package imports no torch.
"""

from labs.microcoder.material import build

__all__ = ["build"]
