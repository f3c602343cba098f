"""What a process that measures probes keeps in memory between them: base model, scorer, and client of a server."""

import contextlib
import gc
import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from probes.generate.random_keys import Sampling, sampling_seed
from probes.inputs.material import Material
from probes.inputs.settings import Engine, MemorySettings
from probes.model.load import Base, load_base
from probes.rendering.row_check import rendered_digest
from probes.result.reading import Probe
from probes.scoring import Scorer, scorer_class

if TYPE_CHECKING:
    from probes.generate.vllm import AnswerServer
    from probes.train.job import Trained, TrainingJob

ENGINES: dict[Engine, str] = {"trl": "probes.train.trl", "packed": "probes.train.packed.engine"}
"""The module of each, whose ``train`` trains a list of jobs."""


@dataclass
class Workbench:
    """What stays in memory between probes: the base, the scorer, and the client of the server that answers.
    ``memory``: how many rows and answers of the next probe are in memory at once. ``engine``: what trains;
    ``engine_note``: why it is not the engine of ``[runner]``."""

    material: Material
    device: str
    bases: dict[str, Base]
    memory: MemorySettings = field(default_factory=MemorySettings)
    engine: Engine = "trl"
    scorer: Scorer | None = None
    server: "AnswerServer | None" = None
    engine_note: str = ""

    def choose_engine(self, wanted: Engine, quantization: str) -> None:
        """Use the engine that was asked for, or TRL if that engine cannot train on this base."""
        self.engine = wanted
        if wanted == "packed":
            from probes.train.packed.support import base_problem

            if problem := base_problem(self.base(quantization)):
                self.engine, self.engine_note = "trl", f"trained by TRL, not packed: {problem}"

    @property
    def joins_passes(self) -> bool:
        """Whether adapters share forward passes. On a CPU that would save little, and the last digits of an adapter's
        results would depend on the other adapters."""
        return self.engine == "packed" and self.device != "cpu"

    def train(self, quantization: str, jobs: "Sequence[TrainingJob]") -> "Sequence[Trained | Exception]":
        """Train each job on the base of this quantisation. An exception in the list concerns its job."""
        train = importlib.import_module(ENGINES[self.engine]).train
        found: Sequence[Trained | Exception] = train(self.base(quantization), jobs, self.memory)
        return found

    def sampling(self, probe: Probe) -> Sampling:
        """How the answers of a probe are sampled."""
        settings = self.material.probe
        return Sampling(
            samples=probe.key.samples,
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            max_new_tokens=settings.max_new_tokens,
            seed=sampling_seed(settings.sampling_seed, probe.seed),
            batch_size=self.memory.generation_batch,
        )

    def base(self, quantization: str) -> Base:
        if quantization not in self.bases:
            self.drop_bases()  # one base at a time: two large ones would not fit
            self.bases[quantization] = load_base(self.material.model, self.material.folder, quantization, self.device)
        return self.bases[quantization]

    def drop_bases(self) -> None:
        """Free the memory of the bases, on the device too. Models have reference cycles, so the collector is called."""
        if not self.bases:
            return
        self.bases.clear()
        gc.collect()
        if self.device != "cpu":
            import torch

            with contextlib.suppress(RuntimeError):  # the device failed; its worker is replaced
                torch.cuda.empty_cache()

    def rendered(self, quantization: str) -> str:
        """The digest of all prompts as rendered for this base."""
        return rendered_digest(self.base(quantization).renderer, self.material.all_prompts)

    def open_scorer(self) -> Scorer:
        if self.scorer is None:
            self.scorer = scorer_class(self.material.scorer.kind)(self.material.scorer, self.material.folder)
        return self.scorer

    def open_server(self) -> "AnswerServer | None":
        """None where the worker generates the answers itself."""
        if self.server is None and self.material.serving.kind == "endpoint":
            from probes.generate.vllm import AnswerServer  # the openai client takes a second or more

            self.server = AnswerServer(self.material.serving)
        return self.server

    def about(self) -> str:
        """One line on the scorer, the server that answers and the engine. Opens the scorer and the server."""
        server = self.open_server()
        said = [self.open_scorer().about, server.about if server else "", self.engine_note]
        return "; ".join(part for part in said if part)

    def close(self) -> None:
        for opened in (self.scorer, self.server):
            if opened is not None:
                opened.close()
