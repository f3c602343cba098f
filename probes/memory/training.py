"""One pass of training and one of answering on tensors of the meta device, which have shapes and no data.

The passes are those of the trainers and of the sampler, so an architecture needs no formula of its own. Imports torch,
trl and peft.
"""

import copy
import math
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForCausalLM, DynamicCache
from trl.kernels.chunked_logprob import TOKEN_CHUNK_SIZE
from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE as VOCABULARY_CHUNK
from trl.trainer.utils import add_fused_lm_head

from probes.generate.sampler import add_gumbel
from probes.memory.workload import Workload
from probes.model.adapter import cast_adapter, lora_config, take_off_adapter
from probes.model.placement import decoder_layers
from probes.train.orpo import row_logps

META = torch.device("meta")
PAGE = 1024  # numbers of float32 in a page of memory
flash_attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


def bytes_of(tensors: Iterable[torch.Tensor]) -> int:
    """The bytes of the storages behind these tensors, each counted once."""
    storages = (tensor.untyped_storage() for tensor in tensors)
    sizes: dict[int, int] = {storage._cdata: storage.nbytes() for storage in storages}
    return sum(sizes.values())


def build(config: Any, work: Workload, trust_remote_code: bool = False) -> Any:
    """The model on the meta device."""
    with META:
        model = AutoModelForCausalLM.from_config(
            config,
            dtype=getattr(torch, work.computes_in),
            trust_remote_code=trust_remote_code,
            attn_implementation="eager" if work.attention == "eager" else None,
        )
    return model.requires_grad_(False).eval()


def with_layers(config: Any, number: int) -> Any:
    """The configuration with only its first ``number`` layers."""
    config = copy.deepcopy(config)
    text = config.get_text_config()
    text.num_hidden_layers = number
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:number]
    return config


def adapter_size(model: Any, work: Workload) -> int:
    """The number of trained parameters."""
    adapted = _adapted(model, work)
    trained: int = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    take_off_adapter(model)
    return trained


def train_peak(model: Any, work: Workload) -> int:
    """Bytes at the peak of a forward and backward pass, with gradients but without the base and the adapter. The model
    cannot be used afterwards."""
    if work.recipe.objective == "dpo":
        add_fused_lm_head(model, outputs=("log_probs", "entropy", "mean_logits", "is_top1"))
    pass_peak = _recomputing_peak(model, work) if work.checkpointing else _plain_peak(model, work)
    return pass_peak - (_untouched(model, work) if work.recipe.objective == "dpo" else 0)


def _plain_peak(model: Any, work: Workload) -> int:
    adapted = _adapted(model, work)
    adapted.train()
    try:
        return _loss_peak(adapted, work)
    finally:
        take_off_adapter(model)


def _loss_peak(model: Any, work: Workload) -> int:
    with _meta(), PeakTracker() as tracker:
        loss: Any = (_dpo if work.recipe.objective == "dpo" else _orpo)(model, work)
        loss.backward()
        del loss
    return int(tracker.peak)


def _recomputing_peak(model: Any, work: Workload) -> int:
    """The peak with recomputed activations: the inputs of all layers, and beside them either the loss or the
    activations of one layer. Leaves the model without layers."""
    layers = decoder_layers(model)
    ids, mask = _batch(work)
    inputs = len(layers) * ids.numel() * int(model.config.get_text_config().hidden_size) * int(model.dtype.itemsize)
    del layers[1:]
    adapted = _adapted(model, work)
    adapted.train()
    with _meta(), PeakTracker() as one_layer:
        last: Any = model.get_decoder()(ids, attention_mask=mask, use_cache=False).last_hidden_state
        last.sum().backward()
        del last
    take_off_adapter(model)
    del layers[:]
    model.enable_input_require_grads()
    return inputs + max(int(one_layer.peak), _loss_peak(model, work))


def left_behind(model: Any, work: Workload) -> int:
    """Bytes that a CPU keeps resident on top of the peak with gradient checkpointing. A forward pass frees a layer's
    activations except its output, but glibc's aligned allocator does not reuse that space for the next layer."""
    if not work.checkpointing or work.device != "cpu":
        return 0
    adapted = _adapted(model, work)
    adapted.train()
    ids, mask = _batch(work)
    with _meta(), torch.no_grad(), PeakTracker() as one_layer:
        model.get_decoder()(ids, attention_mask=mask, use_cache=False)
    take_off_adapter(model)
    return int(one_layer.peak) * len(decoder_layers(model))


def answer_peak(model: Any, work: Workload) -> int:
    """Bytes at the peak of answering: the first pass, or the last one with its full key-value cache."""
    if not work.answers:
        return 0
    cache, grown = DynamicCache(config=model.config), DynamicCache(config=model.config)
    with _meta(), torch.no_grad():
        with PeakTracker() as first:
            _answer(model, math.ceil(work.answers / work.samples), work.prompt, cache)
        with PeakTracker() as last:
            _grow(grown, cache, work.answers, work.new_tokens - 2)
            last.peak = last.now
            _answer(model, work.answers, 1, grown)
    return int(max(first.peak, last.peak))


def _adapted(model: Any, work: Workload) -> Any:
    """The model with an adapter that computes in the type of the base. On a GPU its weights may be kept in float32."""
    config = lora_config(model, work.recipe)
    adapted = get_peft_model(model, config, low_cpu_mem_usage=True, autocast_adapter_dtype=False)
    cast_adapter(adapted, model.dtype)
    return adapted


def _batch(work: Workload) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids of the chosen and rejected rows, and their causal mask."""
    shape = (2 * work.rows, work.length)
    ids = torch.empty(shape, dtype=torch.int64, device=META)
    return ids, torch.empty(shape[0], 1, work.length, work.length, dtype=torch.bool, device=META)


def _dpo(model: Any, work: Workload) -> torch.Tensor:
    """The loss as DPOTrainer computes it, with the base without the adapter as the reference."""
    ids, mask = _batch(work)
    given = {"input_ids": ids, "attention_mask": mask, "labels": ids, "use_cache": False, "fused_lm_head": True}
    trained = model(**given).log_probs
    with torch.no_grad(), model.disable_adapter() if isinstance(model, PeftModel) else nullcontext():
        reference = model(**given).log_probs
    total: torch.Tensor = (trained - reference).sum()
    return total


def _orpo(model: Any, work: Workload) -> torch.Tensor:
    """The loss as ORPOTrainer computes it: the cross entropy of the chosen side, and the log probabilities of both."""
    ids, mask = _batch(work)
    logits = model(ids, attention_mask=mask, use_cache=False).logits
    chosen, labels = logits[: work.rows, :-1].contiguous(), ids[: work.rows, 1:].contiguous()
    nll = torch.nn.CrossEntropyLoss()(chosen.view(-1, chosen.shape[-1]), labels.view(-1))
    total: torch.Tensor = nll + row_logps(logits, ids).sum()
    return total


def _untouched(model: Any, work: Workload) -> int:
    """The bytes of the fused head's buffer that a small vocabulary never writes, so that they take no memory on a
    CPU."""
    vocabulary: int = max(model.get_output_embeddings().weight.shape[0], PAGE)
    if work.device != "cpu" or vocabulary >= VOCABULARY_CHUNK:
        return 0
    rows: int = min(2 * work.rows * work.length, TOKEN_CHUNK_SIZE)
    size: int = model.dtype.itemsize
    return rows * (int(VOCABULARY_CHUNK) - vocabulary) * size


def _answer(model: Any, rows: int, length: int, cache: Any) -> None:
    """One forward pass on top of the cache, and the draw of one token per row."""
    ids = torch.empty(rows, length, dtype=torch.int64)
    mask = torch.empty(rows, 1, length, length + cache.get_seq_length(), dtype=torch.bool)
    logits = model(ids, attention_mask=mask, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
    add_gumbel(logits[:, -1].float(), torch.empty(rows, dtype=torch.int64), 0).argmax(-1)


def _grow(grown: Any, cache: Any, rows: int, more: int) -> None:
    """Fill ``grown`` with ``rows`` rows that have ``more`` tokens more than those of ``cache``."""
    for place, layer in enumerate(cache.layers):
        keys, values = (
            kept.new_empty((rows, kept.shape[1], kept.shape[2] + max(0, more), kept.shape[3]))
            for kept in (layer.keys, layer.values)
        )
        grown.update(keys, values, place)


class _FlashAttention(TorchFunctionMode):
    """Attention by a kernel that keeps no matrix of scores, like the kernels of CPUs and GPUs. On the meta device,
    torch itself would choose one that does."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func is not torch.nn.functional.scaled_dot_product_attention:
            return func(*args, **given)
        query, key, value = args
        if given.get("enable_gqa"):
            groups = query.shape[1] // key.shape[1]
            key, value = (kept.repeat_interleave(groups, dim=1) for kept in (key, value))
        mask, causal = given.get("attn_mask"), bool(given.get("is_causal"))
        mask = None if mask is None else mask.to(query.dtype)
        return flash_attention(query, key, value, 0.0, causal, attn_mask=mask, scale=given.get("scale"))[0]


@contextmanager
def _meta() -> Iterator[None]:
    """Create new tensors on the meta device. It has no autocast, for which TRL's fused head asks."""
    asked = torch.is_autocast_enabled
    torch.is_autocast_enabled = lambda *_: False
    try:
        with META, _FlashAttention():
            yield
    finally:
        torch.is_autocast_enabled = asked


class PeakTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all storages that operations make inside the block, while they live; ``peak`` is the most.

    On the meta device tensors have shapes and no data, so this costs no memory. Older storages are not counted, and
    neither are those that a kernel makes and frees internally.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now: int = 0
        self.peak: int = 0
        self._alive: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {_key(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor) and _key(leaf) not in given:
                self._add(leaf.untyped_storage())
        return made

    def _add(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return

        def free(_: object) -> None:
            self.now -= size
            self._alive.pop(key, None)

        self._alive[key] = weakref.ref(storage, free)
        self.now += size
        self.peak = max(self.peak, self.now)


def _key(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
