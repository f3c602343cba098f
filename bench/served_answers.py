"""Compares the greedy answers of the server of [serving] with those that a worker generates with the same adapter.

    python -m bench.served_answers STUDY MODEL [--dtype float32] [--steps 6]    MODEL: the base's name at the server

Trains one probe of the study's starting recipe, has the server at OPENAI_ANSWERS_BASE_URL answer the prompts with its
adapter, generates the answers here too, and prints how many are equal. The server must serve the same base in the same
data type.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.study.load import load_study
from probes.generate.random_keys import Sampling
from probes.inputs.material import Material
from probes.inputs.settings import ServingSettings
from probes.model.load import load_quietly
from probes.rendering.renderer import RenderedPrompt
from probes.result.reading import Probe, Reading
from probes.run.execute import measure
from probes.run.store import ADAPTER
from probes.run.workbench import Workbench

GREEDY = 1e-6  # a study's temperature is above 0, and vLLM raises a low one to 0.01; this is greedy here
SEED = 42


def greedy(material: Material, model: str, dtype: str, steps: int) -> Material:
    """The material with one greedy answer per prompt, from the server."""
    probe = material.probe.model_copy(update={"temperature": GREEDY, "samples": 1, "steps": steps})
    settings = material.model.model_copy(update={"dtype": dtype} if dtype else {})
    serving = ServingSettings(kind="endpoint", model=model, concurrency=8)
    return replace(material, model=settings, probe=probe, serving=serving)


def compare(bench: Workbench, probe: Probe, folder: Path) -> None:
    """Print the answers in which server and worker differ, and how many are equal."""
    reading = measure(bench, [probe], lambda _: folder, lambda _: None)[0]
    if not isinstance(reading, Reading):
        raise SystemExit(f"the probe failed: {reading.message}")
    base, settings = bench.base(probe.recipe.quantization), bench.material.probe
    prompts = bench.material.prompts_of("probe")
    questions = [base.renderer.question(prompt.asked) for prompt in prompts]
    sampling = Sampling(
        samples=1,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        max_new_tokens=settings.max_new_tokens,
        seed=SEED,
    )
    server = bench.open_server()
    assert server is not None

    def from_server() -> list[str]:
        asked = replace(sampling, temperature=0.0)
        answers = server.answers(probe.id, folder / ADAPTER, questions, base.renderer.stop, asked)
        return [base.renderer.answer_text(q, own[0].text) for q, own in zip(questions, answers, strict=True)]

    served, local = from_server(), local_answers(bench, probe, folder, questions, sampling)
    _print_differences(served, local)
    print(f"equal answers of the server and of the worker: {_equal(served, local)} of {len(local)}")
    print(f"equal answers of the server when asked twice: {_equal(served, from_server())} of {len(served)}")
    bare = local_answers(bench, None, folder, questions[:8], sampling)
    print(f"answers of the base without the adapter that equal the server's: {_equal(served[:8], bare)} of {len(bare)}")
    trial = server.try_once([question.ids for question in questions], base.renderer.stop)
    print(f"of the base, {trial.repeated or trial.failure}")


def local_answers(
    bench: Workbench, probe: Probe | None, folder: Path, questions: Sequence[RenderedPrompt], sampling: Sampling
) -> list[str]:
    """Answers generated here with the probe's adapter; if ``probe`` is None, with the base alone."""
    from probes.generate.sampler import sample
    from probes.model.adapter import adapted

    (base,) = bench.bases.values()
    if probe is None:
        return [own[0].text for own in sample(base.model, base.renderer, questions, sampling)]
    with adapted(base, folder / ADAPTER) as model:
        return [own[0].text for own in sample(model, base.renderer, questions, sampling)]


def _print_differences(served: Sequence[str], local: Sequence[str]) -> None:
    for one, other in zip(served, local, strict=True):
        if one != other:
            print(f"- {one!r}\n  {other!r}")


def _equal(some: Sequence[str], others: Sequence[str]) -> int:
    return sum(one == other for one, other in zip(some, others, strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("model")
    parser.add_argument("--dtype", default="", help="data type of the base here; default: that of the study")
    parser.add_argument("--steps", type=int, default=6)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    load_quietly()
    study = load_study(given.study)
    material = greedy(study.material, given.model, given.dtype, given.steps)
    bench = Workbench(material, "cpu", {}, study.file.runner)
    with TemporaryDirectory() as folder:
        compare(bench, Probe(study.start, material.key("bench"), SEED), Path(folder) / "probe")
    bench.close()


if __name__ == "__main__":
    main()
