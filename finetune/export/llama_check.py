"""A GGUF adapter in llama.cpp itself: on the base, off it, and against llama.cpp's own converter. Imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import gguf
import numpy
import torch

from common.errors import NightlaneError
from evaluation.llama_cpp.server import LlamaServer, serving
from evaluation.llama_cpp.tools import LlamaCpp

MOST = 20
"""How many of the likeliest tokens have their log-probabilities compared."""
SAME_BASE = 1.0
"""Nats that the base in llama.cpp may be from the base here, even quantised to four bits; another model is farther."""
ROUNDING = 0.05
"""Nats of difference that llama.cpp's 16-bit arithmetic may cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCheck:
    """The next token after each prompt, in llama.cpp ("there") and in PEFT ("here"): mean differences of
    log-probabilities, in nats, over the tokens that are likeliest here.

    engine: the bare base there against the bare base here, which differ in arithmetic and quantisation. adapter: the
    base with the adapter, there against here. base: the bare base there against the base with the adapter here.
    same_top: prompts whose likeliest token with the adapter is the same. same_tokens: prompts that the server's chat
    template and tokenizer turn into the ids that training saw; None for a model that is asked without a template.
    """

    prompts: int
    engine: float
    adapter: float
    base: float
    same_top: int
    same_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConverterCheck:
    """Our GGUF adapter compared with the one that llama.cpp's converter writes. largest: the largest difference of two
    numbers. alphas: ours and the converter's, which differ for rsLoRA, since the converter takes it for plain LoRA."""

    tensors: int
    largest: float
    alphas: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PromptWithLogits:
    """A prompt, its token ids as training saw them, and the logits of the next token by the base, bare and with the
    adapter."""

    text: str
    ids: Sequence[int]
    bare: torch.Tensor
    adapted: torch.Tensor


def check_in_llama_cpp(
    tools: LlamaCpp, base: Path, adapter: Path, asked: Sequence[PromptWithLogits], *, chat: bool, log: Path
) -> LlamaCheck:
    """``base``: a GGUF file. NightlaneError if it is another model, or if the adapter gives other logits than here."""
    with serving(tools, base, log, adapter=adapter) as server:
        on = [_distance(server, one.ids, one.adapted, True) for one in asked]
        off = [_distance(server, one.ids, one.adapted, False) for one in asked]
        engine = [_distance(server, one.ids, one.bare, False) for one in asked]
        same = sum(server.chat_ids(one.text) == list(one.ids) for one in asked) if chat else None
    found = LlamaCheck(
        prompts=len(asked),
        engine=fmean(one.mean for one in engine),
        adapter=fmean(one.mean for one in on),
        base=fmean(one.mean for one in off),
        same_top=sum(one.same_top for one in on),
        same_tokens=same,
    )
    _require_alike(found)
    return found


def _require_alike(found: LlamaCheck) -> None:
    if found.engine > SAME_BASE:
        raise NightlaneError(
            "llama.cpp must be given the base that the adapter was trained on, and its log-probabilities are "
            f"{found.engine:.3g} nats from those of --base (at most {SAME_BASE:g}); give that base with --base-gguf"
        )
    most = max(ROUNDING, 2 * found.engine)
    if found.adapter > most or (found.base > most and not found.adapter < found.base):
        raise NightlaneError(
            "an exported adapter must answer in llama.cpp as in PEFT, and its log-probabilities are "
            f"{found.adapter:.3g} nats away (at most {most:.3g}; the base alone is {found.base:.3g} away); report this "
            "as a defect, with the version of llama.cpp"
        )


@dataclass(frozen=True, slots=True)
class _Distance:
    mean: float
    same_top: bool


def _distance(server: LlamaServer, ids: Sequence[int], reference: torch.Tensor, adapter: bool) -> _Distance:
    """Between the log-probabilities of the reference's likeliest tokens, of those that the server lists."""
    expected = reference.double().log_softmax(-1)
    listed = server.next_token(ids, 4 * MOST, adapter)
    likeliest = [token for token in expected.topk(MOST).indices.tolist() if token in listed]
    apart = [abs(float(expected[token]) - listed[token]) for token in likeliest]
    top = max(listed, key=lambda token: listed[token])
    return _Distance(sum(apart) / len(apart) if apart else float("inf"), top == int(expected.argmax()))


def compare_with_converter(tools: LlamaCpp, trained: Path, base: Path, adapter: Path, scratch: Path) -> ConverterCheck:
    """Convert the trained adapter with llama.cpp's own script, and compare tensor by tensor.

    NightlaneError if names, shapes or numbers differ.
    """
    theirs_path = scratch / "converter.gguf"
    tools.lora_to_gguf(trained, base, theirs_path)
    ours, theirs = gguf.GGUFReader(adapter), gguf.GGUFReader(theirs_path)
    mine, other = (
        {one.name: gguf.dequantize(one.data, one.tensor_type) for one in file.tensors} for file in (ours, theirs)
    )
    shapes = {name: values.shape for name, values in mine.items()}
    if shapes != {name: values.shape for name, values in other.items()}:
        odd = sorted(set(mine) ^ set(other)) or ["a shape"]
        raise NightlaneError(
            f"the exported adapter must have the tensors that llama.cpp's converter writes, and {odd[0]} is in only "
            "one of the two files; report this as a defect, with the version of llama.cpp"
        )
    largest = max(float(numpy.abs(mine[name] - other[name]).max()) for name in mine)
    if largest > 0:
        raise NightlaneError(
            f"the exported adapter must have the numbers of llama.cpp's converter, and one differs by {largest:.3g}; "
            "report this as a defect, with the version of llama.cpp"
        )
    return ConverterCheck(tensors=len(mine), largest=largest, alphas=(_alpha(ours), _alpha(theirs)))


def _alpha(reader: gguf.GGUFReader) -> float:
    return float(reader.fields[gguf.Keys.Adapter.LORA_ALPHA].contents())
