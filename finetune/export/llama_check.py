"""A GGUF adapter in llama.cpp itself: on the base, off it, and against llama.cpp's own converter. Imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy
import torch

from common.errors import NightlaneError
from evaluation.llama_cpp.server import LlamaServer, serving
from evaluation.llama_cpp.tools import LlamaCpp
from evaluation.logits import Logits

MOST = 20
"""The likeliest tokens whose log-probabilities are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCheck:
    """The next token behind each prompt in llama.cpp, over the tokens that PEFT's adapter finds likeliest.

    adapter, base: the mean distance of log-probabilities in nats from PEFT's adapter, with the adapter on and off.
    same_top: prompts with the same likeliest token. same_tokens: prompts that the server's chat template and tokenizer
    turn into the ids that training saw; None for a study that is asked without a template.
    """

    prompts: int
    adapter: float
    base: float
    same_top: int
    same_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConverterCheck:
    """The file compared with that of llama.cpp's converter. largest: the largest difference of two numbers. alphas: of
    both files; they differ for rsLoRA, which the converter takes for plain LoRA."""

    tensors: int
    largest: float
    alphas: tuple[float, float]


def check_in_llama_cpp(
    tools: LlamaCpp,
    base: Path,
    adapter: Path,
    asked: Sequence[tuple[str, Sequence[int]]],
    reference: Logits,
    *,
    chat: bool,
    log: Path,
) -> LlamaCheck:
    """``base``: as GGUF. ``asked``: texts with their ids; ``reference``: PEFT's logits of these ids.

    NightlaneError if the adapter in llama.cpp is no nearer to PEFT's than the base is.
    """
    with serving(tools, base, log, adapter=adapter) as server:
        on = [_distance(server, ids, own[-1], True) for (_, ids), own in zip(asked, reference, strict=True)]
        off = [_distance(server, ids, own[-1], False) for (_, ids), own in zip(asked, reference, strict=True)]
        same = sum(server.chat_ids(text) == list(ids) for text, ids in asked) if chat else None
    found = LlamaCheck(
        prompts=len(asked),
        adapter=sum(one.mean for one in on) / len(on),
        base=sum(one.mean for one in off) / len(off),
        same_top=sum(one.same_top for one in on),
        same_tokens=same,
    )
    if not found.adapter < found.base / 2:
        raise NightlaneError(
            "an exported adapter answers in llama.cpp as in PEFT, and its log-probabilities are "
            f"{found.adapter:.3g} nats away, where the base alone is {found.base:.3g} away; give the base as GGUF that "
            "the adapter was trained on with --base-gguf"
        )
    return found


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
            f"the exported adapter has the tensors that llama.cpp's converter writes, and {odd[0]} is in one of them "
            "alone; report this as a defect, with the version of llama.cpp"
        )
    largest = max(float(numpy.abs(mine[name] - other[name]).max()) for name in mine)
    if largest > 0:
        raise NightlaneError(
            f"the exported adapter has the numbers of llama.cpp's converter, and one differs by {largest:.3g}; "
            "report this as a defect, with the version of llama.cpp"
        )
    return ConverterCheck(tensors=len(mine), largest=largest, alphas=(_alpha(ours), _alpha(theirs)))


def _alpha(reader: gguf.GGUFReader) -> float:
    return float(reader.fields[gguf.Keys.Adapter.LORA_ALPHA].contents())
