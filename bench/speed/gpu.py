"""Measures the packed engine on a GPU, with random bases in the shapes of Qwen3 0.6B and 8B; takes ten minutes.

    python -m bench.speed.gpu          on a GPU
    python -m bench.speed.gpu --tiny   the same with a base of 60,000 parameters, on a CPU too

Each base is measured in bfloat16 and in NF4. Training is ORPO: by TRL with its defaults, by TRL with its options for
speed, and by the packed engine with one adapter and with several in each pass. The output has training tokens per
second, the share of the speed of torch's matrix products in the same shapes, peak memory, and the largest difference of
a loss from training the adapter alone. Generation is measured in answers per second: adapters that share passes, one
adapter after the other, and transformers' generate. If something cannot be measured on this machine, its line says why.
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.device import LARGE, SMALL, TINY, Shape, material, recipe, write_model
from probes.inputs.settings import MemorySettings, ModelSettings
from probes.run.devices import use_devices
from testing.simulated_study import write_jsonl

WARM = 2
"""Steps at the start of a training that are not counted."""


@dataclass(frozen=True, kw_only=True)
class GpuSizes:
    """``text``: tokens of a prompt, and of an answer. ``adapters``: numbers of adapters that share passes."""

    shapes: dict[str, Shape]
    text: int
    rows: int
    steps: int
    adapters: tuple[int, int]
    prompts: int
    samples: int
    asked: int
    new_tokens: int


FULL = GpuSizes(
    shapes={"0.6B": SMALL, "8B": LARGE},
    text=256,
    rows=8,
    steps=8,
    adapters=(4, 16),
    prompts=36,
    samples=8,
    asked=8,
    new_tokens=64,
)
SMALLEST = GpuSizes(
    shapes={"tiny": TINY}, text=12, rows=2, steps=3, adapters=(2, 3), prompts=3, samples=2, asked=3, new_tokens=4
)
OFFERED: dict[str, dict[str, Any]] = {
    "TRL, Liger": {"use_liger_kernel": True},
    "TRL, compiled": {"torch_compile": True},
}
"""TRL's options for speed on a GPU, as arguments of its configuration."""


class GpuBench:
    """One base on one device, and a folder."""

    def __init__(self, folder: Path, sizes: GpuSizes, quantization: str, device: str, attention: Any = None) -> None:
        from probes.model.load import load_base

        self.sizes, self.folder, self.quantization, self.device = sizes, folder, quantization, device
        model = ModelSettings(path="model", attn_implementation=attention)
        self.base = load_base(model, folder, quantization, device)
        self.material = material(folder)
        self.work, self.peak = self._products()

    def _products(self) -> tuple[float, float]:
        """Floating point operations per training token, and per second of torch's products in the layers' shapes."""
        import torch

        from bench.speed.engine import layers, work_per_token

        tokens = 4 * self.sizes.rows * self.sizes.text
        kind: dict[str, Any] = {"dtype": self.base.model.dtype, "device": self.device}
        some = layers(self.base)[:7]
        pairs = [
            (torch.randn(tokens, one.in_features, **kind), torch.randn(one.in_features, one.out_features, **kind))
            for one in some
        ]
        best = float("inf")
        for _ in range(10):
            began = self.now()
            for x, weight in pairs:
                x @ weight
            best = min(best, self.now() - began)
        done = sum(2 * tokens * weight.numel() for _, weight in pairs)
        return work_per_token(self.base), done / best

    def now(self) -> float:
        """The time after the device has finished all queued work."""
        import torch

        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def jobs(self, name: str, number: int, arguments: dict[str, Any]) -> list[Any]:
        from probes.inputs.training_rows import order
        from probes.train.job import LongRun, TrainingJob

        of = recipe("orpo", self.quantization).model_copy(update={"effective_batch": self.sizes.rows})
        of = of.model_copy(update={"max_length": 4 * self.sizes.text})
        rows = order(of, self.material.sources, self.sizes.steps * self.sizes.rows, 1)
        folders = [self.folder / f"{name}-{place}" for place in range(number)]
        for one in folders:
            one.mkdir(exist_ok=True)
        return [
            TrainingJob(of, rows, seed, one, lambda *_: None, LongRun(arguments=arguments))
            for seed, one in enumerate(folders)
        ]

    def train(self, name: str, train: Callable[..., Any], number: int = 1, **arguments: Any) -> list[Any]:
        """Train, print a line of figures, and return what was trained. Raises the error of the first job that
        failed."""
        import torch

        from probes.train.curve import NAME, read_curve
        from probes.train.job import Trained

        jobs = self.jobs(name, number, arguments)
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        results = train(self.base, jobs, MemorySettings(micro_batch=number * self.sizes.rows))
        if failed := [one for one in results if not isinstance(one, Trained)]:
            raise failed[0]
        curves = [read_curve(job.directory / NAME) for job in jobs]
        seconds = sum(curve[-1]["seconds"] - curve[WARM - 1]["seconds"] for curve in curves)
        tokens = sum(one.tokens for one in results) * (self.sizes.steps - WARM) / self.sizes.steps
        peak = f"{torch.cuda.max_memory_allocated() / 2**30:6.1f} GiB" if self.device == "cuda" else "not measured"
        share = self.work * tokens / seconds / self.peak
        print(f"  {name:<28}{tokens / seconds:>10,.0f} tokens/s {share:>5.0%} of the peak {peak:>14}", flush=True)
        return list(results)

    def deviation(self, name: str, alone: str) -> None:
        """Print the largest difference of a loss between the first adapter of ``name`` and that of ``alone``."""
        from probes.train.curve import NAME, read_curve

        both = [read_curve(self.folder / f"{one}-0" / NAME) for one in (name, alone)]
        most = max(abs(a["loss"] - b["loss"]) / abs(b["loss"]) for a, b in zip(*both, strict=True))
        print(f"  {name:<28} differs from alone by {most:.1e} of a loss at most", flush=True)

    def answers(self, adapters: Sequence[Path]) -> None:
        """Print the answers per second of three ways to generate."""
        from bench.speed import plain_probe
        from probes.generate.sampler import AdapterQuestions, Sampling, sample, sample_each
        from probes.model.adapter import adapted
        from probes.model.joined_adapters import JoinedAdapters

        sizes, renderer = self.sizes, self.base.renderer
        texts = [f"{place} {'p' * (sizes.text // 2 + place)}\n" for place in range(sizes.prompts)]
        questions = list(map(renderer.question, texts))
        sampling = Sampling(samples=sizes.samples, max_new_tokens=sizes.new_tokens)
        job = {"seed": 1, "samples": sizes.samples, "temperature": 0.8, "max_new_tokens": sizes.new_tokens}

        def joined() -> Any:
            asked = [AdapterQuestions(questions, sampling)] * len(adapters)
            with JoinedAdapters.on(self.base.model, adapters) as joined:
                return list(sample_each(self.base.model, renderer, asked, joined.carry))

        def each(ask: Callable[[Any], Any]) -> list[Any]:
            found = []
            for adapter in adapters:
                with adapted(self.base, adapter) as model:
                    found.append(ask(model))
            return found

        ways: dict[str, Callable[[], list[Any]]] = {
            "answers, joined": joined,
            "answers, one after the other": lambda: each(lambda model: sample(model, renderer, questions, sampling)),
            "answers, generate": lambda: each(lambda model: plain_probe.answer(model, renderer.tokenizer, texts, job)),
        }
        found = {}
        for name, ask in ways.items():
            with report_failure(name):
                began = self.now()
                found[name] = ask()
                rate = sizes.prompts * sizes.samples * len(adapters) / (self.now() - began)
                print(f"  {name:<28}{rate:>10,.1f} answers/s", flush=True)
        same = [
            a == b
            for one, other in zip(*list(found.values())[:2], strict=True)
            for a, b in zip(one, other, strict=True)
        ]
        print(f"  {'answers, joined':<28}{sum(same) / len(same):>10.0%} of the prompts as alone", flush=True)


@contextmanager
def report_failure(name: str) -> Iterator[None]:
    """If the block raises an error, print in one line why ``name`` cannot be measured here, and go on."""
    try:
        yield
    except (ImportError, RuntimeError, ValueError, TypeError, AttributeError, MemoryError) as error:
        print(f"  {name:<28}  not measured: {type(error).__name__}: {' '.join(str(error).split())[:120]}", flush=True)


def measure(folder: Path, sizes: GpuSizes, quantization: str, device: str) -> None:
    from probes.train import trl
    from probes.train.packed import engine

    packed = partial(engine.train, together=True)
    bench = GpuBench(folder, sizes, quantization, device)
    print(f"  {'products':<28}{bench.peak / 1e12:>10.2f} TFLOP/s", flush=True)
    few, many = (f"packed, {number}" for number in sizes.adapters)
    with report_failure("TRL"):
        bench.train("TRL", trl.train)
    with report_failure("packed, alone"):
        bench.train("packed, alone", packed)
    with report_failure(few):
        bench.train(few, packed, sizes.adapters[0])
    with report_failure(many):
        trained = bench.train(many, packed, sizes.adapters[1])
        bench.deviation(many, "packed, alone")
        bench.answers([one.adapter for one in trained[: sizes.asked]])
    if device == "cpu":
        print(f"  {', '.join(OFFERED)} and flash attention are measured on a GPU only", flush=True)
        return
    for name, arguments in OFFERED.items():
        with report_failure(name):
            bench.train(name, trl.train, **arguments)
    del bench
    gc.collect()
    with report_failure("TRL, flash attention"):
        GpuBench(folder, sizes, quantization, device, "flash_attention_2").train("TRL, flash attention", trl.train)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a base of 60,000 parameters")
    parser.add_argument("--minutes", type=float, default=10.0, help="start no measurement after so many minutes")
    asked = parser.parse_args(arguments)
    began, sizes, device = time.monotonic(), SMALLEST if asked.tiny else FULL, use_devices(1)
    for name, shape in sizes.shapes.items():
        with TemporaryDirectory() as given:
            folder = Path(given)
            write_model(folder / "model", shape)
            material(folder)  # writes its data, of which the rows are replaced
            write_jsonl(folder / "good.jsonl", rows(sizes))
            for quantization in ("none", "nf4"):
                print(f"{name}, {'NF4' if quantization == 'nf4' else 'not quantised'}, {device}", flush=True)
                if time.monotonic() - began > 60 * asked.minutes:
                    print(f"  not measured: {asked.minutes:g} minutes are over", flush=True)
                else:
                    measure(folder, sizes, quantization, device)
    return 0


def rows(sizes: GpuSizes) -> list[dict[str, str]]:
    """Pairs whose sequences have about twice as many tokens as ``text``: the tokenizer has a token for each letter."""
    sides = ("prompt", "chosen", "rejected")
    return [
        {side: f"{side}{place} " + "abcdefgh"[place % 8] * (sizes.text - 12 + place % 9) for side in sides}
        for place in range(4 * sizes.rows)
    ]


if __name__ == "__main__":
    sys.exit(main())
