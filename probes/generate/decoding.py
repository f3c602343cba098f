"""Decodes several continuations of each prompt, on any causal language model of transformers.

Unlike transformers' ``generate``, this computes a prompt once for all its continuations, and drops rows that have
ended. The model's generation config is ignored: ``choose`` draws the tokens, and ``is_over`` decides where a row ends.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

Choose: TypeAlias = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""Draws the next token of each row [rows] from logits [rows, vocabulary], the indices of the rows [rows], and the
number of tokens that each row has drawn so far."""
IsOver: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
"""Whether each row ends with its last token, bool [rows], from token ids [rows, length], padded on the left."""
BeforePass: TypeAlias = Callable[[torch.Tensor], None]
"""Called before each forward pass with the index of each row's prompt [rows]."""

MOST_ENDED = 0.25
"""Rows that have ended are dropped when they are this share of the batch: dropping rows copies the others' cache."""
ROOM = 32
"""Tokens by which a buffer of keys and values grows."""


@torch.inference_mode()
def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    copies: Sequence[int],
    choose: Choose,
    is_over: IsOver,
    most: int,
    before_pass: BeforePass = lambda _: None,
) -> list[list[int]]:
    """The generated token ids of each row: at most ``most``, including the token that ends it. ``copies``: rows per
    prompt, which are adjacent."""
    batch = _Batch(model, prompts, before_pass)
    batch.keep(torch.arange(len(prompts)).repeat_interleave(torch.tensor(copies)))
    drawn: list[list[int]] = [[] for _ in range(sum(copies))]
    rows = torch.arange(len(drawn))
    going = torch.ones(len(drawn), dtype=torch.bool)
    for position in range(most):
        tokens = choose(batch.logits, rows, position)
        for row, token, goes in zip(rows.tolist(), tokens.tolist(), going.tolist(), strict=True):
            if goes:
                drawn[row].append(token)
        batch.add(tokens)
        going &= ~is_over(batch.ids).cpu()
        left = int(going.sum())
        if left == 0 or position + 1 == most:
            break
        if left <= (1 - MOST_ENDED) * len(rows):
            places = going.nonzero().flatten()
            batch.keep(places)
            rows, going = rows[places], going[places]
        batch.compute()
    return drawn


class _Batch:
    """Token rows, padded on the left, their cache, and the ``logits`` [rows, vocabulary] of the next token."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], before_pass: BeforePass) -> None:
        width = max(map(len, prompts))
        padded = [[0] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        self.model, self.before_pass = model, before_pass
        self.prompts = torch.arange(len(prompts), device=model.device)
        self.ids, self.mask = (torch.tensor(values, device=model.device) for values in (padded, mask))
        bare = model.get_base_model() if hasattr(model, "peft_config") else model
        known = inspect.signature(type(bare).forward).parameters  # a trainer may have replaced the object's own
        self.last_only = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        self.takes_positions = "position_ids" in known
        self.cache_name = "past_key_values" if "past_key_values" in known else "cache_params"
        self.cache: Any = None
        self.compute()

    def compute(self) -> None:
        """One forward pass over the tokens that are not in the cache: at first the prompts, later one token per row."""
        seen = 0 if self.cache is None else self.ids.shape[1] - 1
        options: dict[str, Any] = dict(self.last_only)
        if self.cache is not None:
            options[self.cache_name] = self.cache
        if self.takes_positions:
            options["position_ids"] = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, seen:]
        self.before_pass(self.prompts)
        found = self.model(
            input_ids=self.ids[:, seen:], attention_mask=self.mask, use_cache=True, return_dict=True, **options
        )
        self.cache, self.logits = found[self.cache_name], found.logits[:, -1]
        if seen == 0 and isinstance(self.cache, DynamicCache):
            self.cache.layers = [
                _Layer.of(layer) if type(layer) is DynamicLayer else layer for layer in self.cache.layers
            ]

    def add(self, tokens: torch.Tensor) -> None:
        self.ids = torch.cat([self.ids, tokens[:, None]], dim=1)
        self.mask = torch.cat([self.mask, torch.ones_like(tokens[:, None])], dim=1)

    def keep(self, places: torch.Tensor) -> None:
        """Keep the rows at these places, in this order; a place may occur more than once."""
        places = places.to(self.ids.device)
        self.ids, self.mask, self.logits = self.ids[places], self.mask[places], self.logits[places]
        self.prompts = self.prompts[places]
        self.cache.reorder_cache(places)


class _Layer(DynamicLayer):  # type: ignore[misc]
    """Keys and values in buffers with spare room; DynamicLayer would copy all of them for each new token."""

    @classmethod
    def of(cls, layer: DynamicLayer) -> "_Layer":
        """The same keys and values in a layer of this class."""
        made = cls()
        made.__dict__.update(vars(layer))
        return made

    def __init__(self) -> None:
        super().__init__()
        self.buffers: dict[str, torch.Tensor] = {}

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.keys, self.values = self._grown("keys", key_states), self._grown("values", value_states)
        return self.keys, self.values

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        super().reorder_cache(beam_idx)
        self.buffers.clear()

    def _grown(self, name: str, more: torch.Tensor) -> torch.Tensor:
        old, buffer = getattr(self, name), self.buffers.get(name)
        start, end = old.shape[-2], old.shape[-2] + more.shape[-2]
        if buffer is None or buffer.shape[-2] < end:
            buffer = more.new_empty((*more.shape[:2], end + ROOM, more.shape[3]))
            buffer[:, :, :start] = old
            self.buffers[name] = buffer
        buffer[:, :, start:end] = more
        return buffer[:, :, :end]
