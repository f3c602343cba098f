"""The models that answer the problems: one in memory, with or without an adapter, or one behind an endpoint.

A model without a chat template continues the problem's text, and its answer is cut where a new top-level construct
begins, like in the harnesses of HumanEval and MBPP. A chat model is asked for the whole function.
"""

import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from common.errors import BadInput
from evaluation.problems import Problem
from probes.inputs.settings import ModelSettings

if TYPE_CHECKING:  # importing these takes longer than to judge a hundred answers, which may be in a file
    from probes.endpoint.client import Endpoint
    from probes.model.load import Base

OnProgress = Callable[[int], None]
"""Called with the number of problems that were answered since the last call."""

CHUNK = 16  # problems between two calls of OnProgress
CONCURRENCY = 8  # requests at once
NEXT_CONSTRUCT = {
    "humaneval": re.compile(r'\n(?=class |def |async def |#|@|print\(|if |assert |```|""")'),
    "mbpp": re.compile(r'\n(?=#|print\(|if |assert |```|""")'),
}
TASK = "Write this Python function. Reply with the whole function and its imports in one code block.\n\n"


@dataclass(frozen=True, slots=True)
class Asking:
    """Sampling: ``samples`` answers per problem and seed; ``batch`` rows per forward pass."""

    samples: int = 1
    temperature: float = 0.2
    max_new_tokens: int = 512
    batch: int = 64


class Answerer(Protocol):
    """Answers problems; ``name`` is for people."""

    @property
    def name(self) -> str: ...

    def answers(
        self, problems: Sequence[Problem], asking: Asking, seed: int, on_progress: OnProgress
    ) -> list[list[str]]:
        """``asking.samples`` texts per problem. An answer that an endpoint never gave is left out."""


@dataclass(frozen=True)
class LocalModel:
    """A loaded base model, and the folder of a LoRA adapter for it."""

    name: str
    base: "Base"
    adapter: Path | None = None

    def answers(
        self, problems: Sequence[Problem], asking: Asking, seed: int, on_progress: OnProgress
    ) -> list[list[str]]:
        from probes.generate.sampler import Sampling, generate
        from probes.model.adapter import adapted

        sampling = Sampling(
            samples=asking.samples,
            temperature=asking.temperature,
            top_p=1.0,
            top_k=0,
            max_new_tokens=asking.max_new_tokens,
            seed=seed,
            batch_size=asking.batch,
        )
        texts_by_problem: list[list[str]] = []
        renderer = self.base.renderer
        with adapted(self.base, self.adapter) if self.adapter else nullcontext(self.base.model) as model:
            for start in range(0, len(problems), CHUNK):
                chunk = problems[start : start + CHUNK]
                asked = [renderer.question(TASK + p.prompt.text if renderer.chat else p.prompt.text) for p in chunk]
                texts = generate(model, renderer, asked, sampling)
                if not renderer.chat:
                    texts = [[cut(p, text) for text in own] for p, own in zip(chunk, texts, strict=True)]
                texts_by_problem += texts
                on_progress(len(chunk))
        return texts_by_problem


@dataclass(frozen=True)
class ServedModel:
    """A chat model behind an OpenAI-compatible endpoint."""

    name: str
    endpoint: "Endpoint"

    def answers(
        self, problems: Sequence[Problem], asking: Asking, seed: int, on_progress: OnProgress
    ) -> list[list[str]]:
        from probes.endpoint.no_reply import NoReply

        def ask(problem: Problem, sample: int) -> str | None:
            try:
                message = {"role": "user", "content": TASK + problem.prompt.text}
                return self.endpoint.ask([message], seed=seed * 1000 + sample).text
            except NoReply:
                return None

        with ThreadPoolExecutor(CONCURRENCY) as pool:
            futures = [[pool.submit(ask, problem, n) for n in range(asking.samples)] for problem in problems]
            texts_by_problem = []
            for own in futures:
                texts_by_problem.append([text for future in own if (text := future.result()) is not None])
                on_progress(1)
        return texts_by_problem


def load(settings: ModelSettings, folder: Path, quantization: str, adapter: Path | None) -> list[LocalModel]:
    """Load the base, and the base with the adapter if there is one; BadInput for a bad adapter."""
    from probes.model.adapter_files import require_base_adapter, require_prompt_format
    from probes.model.load import load_base, load_quietly, use_few_threads
    from probes.run.devices import visible_devices

    if adapter is not None:
        require_readable(adapter)
        require_base_adapter(adapter, settings, folder)
    load_quietly()
    if adapter is not None:
        require_prompt_format(adapter, settings, folder)
    base = load_base(settings, folder, quantization, "cuda:0" if visible_devices() else "cpu")
    use_few_threads(base)
    name = settings.path + (f" + {settings.adapter}" if settings.adapter else "")
    models = [LocalModel(name, base)]
    return models if adapter is None else [*models, LocalModel(f"{name} + {adapter}", base, adapter)]


def cut(problem: Problem, text: str) -> str:
    """Cut a continuation where a new construct begins, unless that is its very start."""
    construct = NEXT_CONSTRUCT[problem.prompt.category].search(text, 1 if text.startswith("\n") else 0)
    return text if construct is None else text[: construct.start() + 1]


def require_readable(adapter: Path) -> None:
    """BadInput for a folder without an adapter, and for one whose files are damaged."""
    if not (adapter / "adapter_config.json").is_file():
        raise BadInput(f"{adapter} holds no adapter (adapter_config.json is missing); give the folder peft saved it in")
    if why := _damage(adapter):
        raise BadInput(f"{adapter} holds an adapter that cannot be read ({why}); restore it, or train it again")


def _damage(adapter: Path) -> str:
    """What is wrong with the files of an adapter, from their headers; "" for nothing."""
    from safetensors import SafetensorError, safe_open

    try:
        json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        for weights in adapter.glob("*.safetensors"):
            with safe_open(weights, "numpy"):
                pass  # opening it checks that its header fits its length
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        return str(error)
    return ""
