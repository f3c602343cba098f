"""The base with and without PEFT's adapter, in float32, against which every export is compared. Imports torch.

In 16 bits PEFT's own rounding is as large as the effect of a short run, so a small mistake would not be seen.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft import get_peft_model_state_dict
from safetensors import safe_open

from common.errors import BadInput, NightlaneError
from evaluation.logits import Logits, difference, logits
from finetune.export.base import ExportBase
from finetune.export.exported import ExportCheck
from finetune.export.trained import TrainedAdapter
from probes.generate.random_keys import Sampling
from probes.generate.sampler import generate
from probes.inputs.settings import ModelSettings
from probes.model.adapter import adapted
from probes.model.load import ADAPTER_WEIGHTS, Base, load_base, use_few_threads
from probes.model.merged_adapter import CLOSE
from probes.rendering.renderer import RenderedPrompt, Renderer

COMPARED = 4
"""The number of prompts on which logits are compared."""
ANSWERED = Sampling(samples=1, temperature=0.01, top_p=1.0, top_k=0, max_new_tokens=48, seed=0, batch_size=COMPARED)
"""Nearly greedy answers."""
Note = Callable[[str], None]


@dataclass
class Bench:
    """``questions``: the ``prompts`` as rendered. ``bare``, ``adapted``: the logits of the base without and with PEFT's
    adapter, by prompt."""

    trained: TrainedAdapter
    named: ExportBase
    base: Base
    device: str
    prompts: tuple[str, ...]
    questions: list[RenderedPrompt]
    bare: Logits
    adapted: Logits

    @property
    def renderer(self) -> Renderer:
        return self.base.renderer

    @property
    def ids(self) -> list[list[int]]:
        return [list(question.ids) for question in self.questions]

    @property
    def change(self) -> ExportCheck:
        """What the adapter changes."""
        return ExportCheck("the base without the adapter", difference(self.adapted, self.bare))

    def measured(self, what: str, model: Any) -> ExportCheck:
        """How far a model is from the base with PEFT's adapter."""
        return ExportCheck(what, difference(self.adapted, logits(model, self.ids)))

    def checked(self, what: str, model: Any) -> ExportCheck:
        """NightlaneError if logits differ by more than rounding, or by half of what the adapter changes."""
        found = self.measured(what, model).difference
        most = min(CLOSE[torch.float32], self.change.difference.relative / 2)
        if not found.relative <= most:
            raise NightlaneError(
                f"an export must give the logits of PEFT's adapter, and those of {what} differ by {found.relative:.2g} "
                f"of their size (at most {most:.2g}); report this as a defect, and serve PEFT's own files"
            )
        return ExportCheck(what, found, most)

    def answers(self) -> list[str]:
        """The answers of the base with PEFT's adapter."""
        with adapted(self.base, self.trained.adapter) as model:
            return self.answers_of(model)

    def answers_of(self, model: Any) -> list[str]:
        return [own[0] for own in generate(model, self.renderer, self.questions, ANSWERED)]


def open_bench(trained: TrainedAdapter, named: ExportBase, prompts: tuple[str, ...], device: str, note: Note) -> Bench:
    """BadInput if the adapter does not fit the base, changes nothing, or diverged."""
    note(f"loading the base {named.name}")
    base, device = load_in_float32(named.settings, named, device, note)
    asked = prompts[:COMPARED]
    questions = [base.renderer.question(text) for text in asked]
    ids = [list(question.ids) for question in questions]
    bare = logits(base.model, ids)
    with _fitting(trained, named), adapted(base, trained.adapter) as model:
        _require_all_read(model, trained)
        own = logits(model, ids)
    bench = Bench(trained, named, base, device, asked, questions, bare, own)
    _require_change(bench)
    return bench


def load_in_float32(settings: ModelSettings, named: ExportBase, device: str, note: Note) -> tuple[Base, str]:
    """The model without an adapter, and where it is: on the CPU, if the device's memory is too small."""
    wanted = settings.model_copy(update={"dtype": "float32", "adapter": None})
    try:
        base = load_base(wanted, named.folder, "none", device)
    except torch.OutOfMemoryError:
        note("the device's memory is too small for the base in float32, so it is checked on the CPU")
        gc.collect()
        device = "cpu"
        base = load_base(wanted, named.folder, "none", device)
    use_few_threads(base)
    return base, device


@contextmanager
def _fitting(trained: TrainedAdapter, base: ExportBase) -> Iterator[None]:
    """BadInput if PEFT cannot put the adapter on the base."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())[:200]
        raise BadInput(
            f"{trained.adapter} does not fit the base {base.name} ({why}); give the base that it was trained on with "
            "--base"
        ) from None


def _require_all_read(model: Any, trained: TrainedAdapter) -> None:
    """ValueError if PEFT left out a part of the adapter, as it does with layers that the base lacks."""
    with safe_open(trained.adapter / ADAPTER_WEIGHTS, "pt") as saved:
        read = get_peft_model_state_dict(model, save_embedding_layers=False)
        odd = sorted(name for name in saved.keys() if ".lora_" in name and name not in read)  # noqa: SIM118
    if odd:
        raise ValueError(f"the base has no place for {odd[0]}")


def _require_change(bench: Bench) -> None:
    adapter = bench.trained.adapter
    if not all(one.isfinite().all() for one in bench.adapted):
        raise BadInput(f"the logits with {adapter} are not finite; the run diverged, so train again")
    if not bench.change.difference.relative > 0:
        raise BadInput(
            f"an adapter must change its base, and the logits with {adapter} are those of the base; train it longer"
        )
