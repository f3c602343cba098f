"""The model that answers for a side: the base, an adapter on it, the merged model, or that quantised by llama.cpp.

A merged model and its quantised files lie in a scratch folder, which is removed at the end.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from common.errors import BadInput
from evaluation.llama_cpp.server import LlamaServer, serving
from evaluation.llama_cpp.tools import LlamaCpp
from evaluation.own_study.adapters import put_on
from evaluation.own_study.answers import AnsweringSide, ModelInMemory, Sampler
from probes.generate.random_keys import Sampling
from probes.generate.sampled_text import SampledText
from probes.rendering.renderer import RenderedPrompt, Renderer
from probes.run.workbench import Workbench

MERGED = "merged"
SLOTS = 4
"""Answers that llama-server writes at once."""
SPARE = 64
"""Spare positions of a context, beyond the longest prompt and answer."""


class AnsweringModels:
    """Opens the model that answers for a side. ``scratch``: an empty folder; ``tools``: None without llama.cpp."""

    def __init__(self, bench: Workbench, quantization: str, scratch: Path, tools: LlamaCpp | None) -> None:
        self._bench, self._quantization, self._scratch, self._tools = bench, quantization, scratch, tools
        self._made: dict[tuple[str, str], Path] = {}

    @contextmanager
    def sampler(self, side: AnsweringSide, renderer: Renderer, longest: int) -> Iterator[Sampler]:
        """``longest``: tokens of the longest prompt."""
        if side.form == "":
            base = self._bench.base(self._quantization)
            with put_on(base, side.adapter) as model:
                yield ModelInMemory(model, renderer)
        elif side.form == MERGED:
            yield ModelInMemory(self._merged_model(side), renderer)
        else:
            context = longest + self._bench.material.probe.max_new_tokens + SPARE
            tools, model_file = self._need_tools(), self._quantised(side)
            log = self._scratch / "server.log"
            with serving(tools, model_file, log, context=context, slots=SLOTS) as server:
                yield _Served(server, renderer)

    def _merged_model(self, side: AnsweringSide) -> object:
        from probes.model.load import load_base

        material = self._bench.material
        path = str(self._merged(side).resolve())
        settings = material.model.model_copy(update={"path": path, "revision": None})
        return load_base(settings, material.folder, "none", self._bench.device).model

    def _merged(self, side: AnsweringSide) -> Path:
        if (MERGED, side.digest) not in self._made:
            from evaluation.merging import write_merged

            self._bench.drop_bases()  # one model in memory at a time
            assert side.adapter is not None
            folder, material = self._scratch / f"{side.digest}-{MERGED}", self._bench.material
            write_merged(material.model, material.folder, side.adapter, folder, self._bench.device)
            self._made[MERGED, side.digest] = folder
        return self._made[MERGED, side.digest]

    def _quantised(self, side: AnsweringSide) -> Path:
        tools = self._need_tools()
        whole = self._scratch / f"{side.digest}.gguf"
        if not whole.exists():
            tools.model_to_gguf(self._merged(side), whole)
        path = self._scratch / f"{side.digest}-{side.form}.gguf"
        tools.quantise(whole, path, side.form)
        return path

    def _need_tools(self) -> LlamaCpp:
        if self._tools is None:
            raise BadInput("llama.cpp quantises a merged model, and it was not given; name it with --llama-cpp")
        return self._tools


class _Served:
    """A llama-server. Its random numbers are its own, so an answer shares none with that of another side."""

    def __init__(self, server: LlamaServer, renderer: Renderer) -> None:
        self._server, self._renderer = server, renderer

    def __call__(self, questions: Sequence[RenderedPrompt], sampling: Sampling) -> list[list[SampledText]]:
        rows = [(question, sample) for question in questions for sample in range(sampling.samples)]
        with ThreadPoolExecutor(SLOTS) as pool:
            found = list(pool.map(lambda row: self._answer(row[0], row[1], sampling), rows))
        samples = sampling.samples
        return [found[place * samples : (place + 1) * samples] for place in range(len(questions))]

    def _answer(self, question: RenderedPrompt, sample: int, sampling: Sampling) -> SampledText:
        stop = self._renderer.stop
        ids, finish = self._server.answer(question, sampling, sample, stop)
        ended = not set(stop.ids).isdisjoint(ids)  # the template's end of turn, which the GGUF file may not know
        return SampledText(self._renderer.answer(question, ids), "stop" if ended else finish)
