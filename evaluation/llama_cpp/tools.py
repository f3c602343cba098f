"""The programs and converters of llama.cpp in one folder."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.digests import file_digest
from common.errors import MissingRequirement, NightlaneError
from common.optional_dependencies import require_extra

SERVER, QUANTIZE = "llama-server", "llama-quantize"
CONVERT_MODEL, CONVERT_LORA = "convert_hf_to_gguf.py", "convert_lora_to_gguf.py"
PLACES = ("", "bin", "build/bin")
"""Where a release and a build have their programs."""
QUANTISED = ("Q4_K_M", "Q5_K_M", "Q8_0")
"""The types that people serve, from the smallest."""


@dataclass(frozen=True)
class LlamaCpp:
    """``folder``: a checkout of llama.cpp, built in ``build``, or a folder that holds its programs."""

    folder: Path

    def find(self, name: str) -> Path | None:
        return next((path for place in PLACES if (path := self.folder / place / name).is_file()), None)

    def need(self, *names: str) -> None:
        """MissingRequirement for a program or converter that the folder lacks."""
        missing = [name for name in names if self.find(name) is None]
        if missing:
            raise MissingRequirement(
                f"--llama-cpp {self.folder} has no {missing[0]}, there or in {' or '.join(filter(None, PLACES))}; give "
                "a checkout of llama.cpp with its build"
            )
        if any(name.endswith(".py") for name in names):
            require_extra("llama-cpp", "a converter of llama.cpp")

    def digests(self, *names: str) -> list[str]:
        """The digests of these programs, which say which version it is."""
        return [file_digest(path) for name in names if (path := self.find(name))]

    def model_to_gguf(self, model: Path, output: Path, kind: str = "auto") -> None:
        """Convert a folder with a model; ``kind`` "auto" keeps 16-bit types."""
        self._run(CONVERT_MODEL, [str(model), "--outfile", str(output), "--outtype", kind])

    def lora_to_gguf(self, adapter: Path, base: Path, output: Path) -> None:
        self._run(CONVERT_LORA, [str(adapter), "--base", str(base), "--outfile", str(output), "--outtype", "f32"])

    def quantise(self, model: Path, output: Path, kind: str) -> None:
        self._run(QUANTIZE, [str(model), str(output), kind])

    def _run(self, name: str, arguments: Sequence[str]) -> None:
        """NightlaneError with its last line if it fails."""
        self.need(name)
        program = [str(self.find(name))]
        command = [sys.executable, *program] if name.endswith(".py") else program
        done = subprocess.run(
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            last = (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
            raise NightlaneError(
                f"llama.cpp's {name} failed with exit code {done.returncode} ({last[:300]}); check that its version "
                "knows this model"
            )
