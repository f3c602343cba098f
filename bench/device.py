"""Probes on the device of this machine: data types, memory against the estimate, token ids, adapters, out of memory.

    python -m bench.device          a Qwen3 of 0.6B parameters with random weights, at most eight minutes on one GPU
    python -m bench.device --tiny   the same checks on a model of 60,000 parameters, on a CPU too

It prints a line per check and ends with exit code 1 if one failed.
"""

import argparse
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lanes import Recipe
from probes.inputs.material import Material
from probes.inputs.settings import (
    DataSettings,
    MemorySettings,
    ModelSettings,
    ProbeSettings,
    PromptSettings,
    RunnerSettings,
)
from probes.memory.estimate import MemoryEstimate, estimate
from probes.memory.fit import workload
from probes.rendering.renderer import TokenRow
from probes.result.reading import Failure, Outcome, Probe, Reading
from probes.run.devices import use_devices
from probes.run.execute import measure
from probes.run.workbench import Workbench
from probes.scoring.execution.scorer import ExecutionSettings
from testing.simulated_study import write_data

STEPS, ROWS, CLOSE = 3, 4, 0.15
ROOM_IN_PIECES = 64 * 2**20
"""Bytes that are left free to make a probe run out of memory."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The shape of a Qwen3. ``vocabulary``: rows of the embedding; the tokenizer has 258 tokens."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int


SMALL = Shape(hidden=1024, layers=28, heads=16, kv_heads=8, head=128, vocabulary=151_936)  # Qwen3-0.6B
LARGE = Shape(hidden=4096, layers=36, heads=32, kv_heads=8, head=128, vocabulary=151_936)  # Qwen3-8B
TINY = Shape(hidden=64, layers=2, heads=2, kv_heads=2, head=32, vocabulary=258)


def write_model(folder: Path, shape: Shape) -> None:
    """A model with random weights and a tokenizer of bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    alphabet = ["<eos>", "<pad>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({letter: place for place, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>")
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=3 * shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head,
        max_position_embeddings=1024,
        tie_word_embeddings=shape is not LARGE,
        eos_token_id=0,
        pad_token_id=1,
        bos_token_id=None,
        dtype="bfloat16",
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen3ForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(folder)
    wrapped.save_pretrained(folder)


def material(folder: Path) -> Material:
    write_data(folder)
    return Material(
        folder,
        ModelSettings(path="model"),
        DataSettings(sources={"good": "good.jsonl"}, manifests={"all": {"good": 1}}),
        PromptSettings(file="prompts.jsonl"),
        ExecutionSettings(),
        ProbeSettings(steps=STEPS, samples=2, max_new_tokens=16),
    )


def recipe(objective: str, quantization: str) -> Recipe:
    given = {"objective": objective, "quantization": quantization, "effective_batch": ROWS, "mixture": {"good": 1}}
    return Recipe.model_validate({**given, "learning_rate": 1e-3, "warmup": 0.0, "max_length": 512})


@dataclass
class Checks:
    """Prints each check, and counts those that failed."""

    failed: int = 0

    def that(self, name: str, holds: bool, found: object) -> None:
        self.failed += not holds
        print(f"{'ok    ' if holds else 'FAILED'} {name}: {found}", flush=True)


class DeviceTrial:
    """One workbench, and the probes of the checks on it."""

    def __init__(self, folder: Path, device: str, checks: Checks) -> None:
        self.bench = Workbench(material(folder), device, {}, MemorySettings(micro_batch=ROWS))
        self.folder, self.device, self.checks = folder, device, checks

    def run(self, of: Recipe, seed: int = 42) -> Outcome:
        key = self.bench.material.key("bench.device")
        return measure(self.bench, [Probe(of, key, seed)], lambda name: self.folder / name, lambda _: None)[0]

    def kind(self, objective: str, quantization: str) -> None:
        """Run a probe of this kind, and check data types, the adapter, the memory and the ends of answers."""
        name, of = f"{objective}, {quantization}", recipe(objective, quantization)
        base = self.bench.base(quantization)
        wanted = "torch.bfloat16" if quantization == "nf4" or self.device == "cuda" else "torch.float32"
        self.checks.that(f"{name}: data type of the base", str(base.model.dtype) == wanted, base.model.dtype)
        found = self.run(of)
        if isinstance(found, Failure):
            self.checks.that(f"{name}: a reading", False, f"{found.kind}: {found.message}")
            return
        moved, whole = adapter_state(self.folder / found.probe / "adapter")
        self.checks.that(f"{name}: every matrix of the adapter moved and is finite", moved == whole, f"{moved}/{whole}")
        rows = self._rows(quantization)
        stop = set(base.renderer.stop.ids)
        ends = [[token in stop for token in side[-2:]] for row in rows for side in (row.chosen, row.rejected)]
        once = all(end == [False, True] for end in ends)
        self.checks.that(f"{name}: each answer ends once", once, f"{len(ends)} sides")
        self._memory(name, of, found)

    def _rows(self, quantization: str) -> list[TokenRow]:
        rows = self.bench.base(quantization).renderer.rows(self.bench.material.sources["good"])
        return [row for row in rows if isinstance(row, TokenRow)]

    def _memory(self, name: str, of: Recipe, found: Reading) -> None:
        told = self._estimate(of).peak
        holds = abs(told / found.peak_gb - 1) <= CLOSE
        self.checks.that(f"{name}: memory", holds, f"estimate {told:.2f}, measured {found.peak_gb:.2f} GiB")

    def _estimate(self, of: Recipe) -> MemoryEstimate:
        from transformers import AutoConfig

        own, base = self.bench.material, self.bench.base(of.quantization)
        longest = max(row.length for row in self._rows(of.quantization))
        work = workload(own, of, RunnerSettings(micro_batch=ROWS), base.renderer, longest, self.device)
        return estimate(AutoConfig.from_pretrained(self.folder / "model"), work)

    def out_of_memory(self) -> None:
        """Run a probe out of memory, then run it with half the rows at once: the base is loaded again and it gets a
        reading."""
        of = recipe("dpo", "none")  # the logits need a large block, even for the tiny model
        expected = self.run(of, seed=1)
        with no_room(self.device):
            failed = self.run(of, seed=1)
        kind = failed.kind if isinstance(failed, Failure) else "a reading"
        self.checks.that("without room: the kind of failure", kind == "oom", kind)
        left = len(self.bench.bases)
        self.checks.that("without room: no base stays in memory", left == 0, f"{left} bases")
        before, self.bench.memory = self.bench.memory, self.bench.memory.halved(of.effective_batch)
        again = self.run(of, seed=1)
        self.bench.memory = before
        self.checks.that("with half at once: a reading", isinstance(again, Reading), type(again).__name__)
        repeated = self.run(of, seed=1)
        same = isinstance(repeated, Reading) and isinstance(expected, Reading) and repeated.final == expected.final
        self.checks.that("afterwards: the same as before", same or self.device == "cuda", same)


def adapter_state(adapter: Path) -> tuple[int, int]:
    """How many B matrices, which begin at 0, are finite and not 0; and how many there are."""
    import torch
    from safetensors.torch import load_file

    found = [value for name, value in load_file(adapter / "adapter_model.safetensors").items() if "lora_B" in name]
    return sum(bool(torch.isfinite(value).all() and value.abs().sum() > 0) for value in found), len(found)


@contextmanager
def no_room(device: str) -> Iterator[None]:
    """Leave hardly more memory than is in use: on the GPU, or of this process's address space on a CPU."""
    import torch

    if device == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + ROOM_IN_PIECES) / total)
    else:
        limits = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**20, limits[1]))
    try:
        yield
    finally:
        if device == "cuda":
            torch.cuda.set_per_process_memory_fraction(1.0)
        else:
            resource.setrlimit(resource.RLIMIT_AS, limits)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a model of 60,000 parameters")
    asked = parser.parse_args(arguments)
    import torch

    device = use_devices(1)
    checks = Checks()
    with TemporaryDirectory() as given:
        folder = Path(given)
        write_model(folder / "model", TINY if asked.tiny else SMALL)
        trial = DeviceTrial(folder, device, checks)
        try:
            for quantization in ("none", "nf4"):
                for objective in ("orpo", "dpo"):
                    trial.kind(objective, quantization)
            trial.out_of_memory()
        finally:
            trial.bench.close()
    print(f"{checks.failed} checks failed on {torch.cuda.get_device_name(0) if device == 'cuda' else 'the CPU'}")
    return int(checks.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
