"""Decodes several continuations of each prompt, on any causal language model of transformers.

The prompt is computed once for all of its continuations, and a row that has ended leaves the batch, which ``generate``
does not do. Nothing of the model's own generation config applies: what shapes a draw is in ``choose`` and ``is_over``.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

Choose: TypeAlias = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""The next tokens [rows], from logits [rows, vocabulary], the numbers of the rows [rows], and how many tokens each row
has drawn."""
IsOver: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
"""Which rows end with their last token [rows], from all tokens of the rows, padded on the left [rows, length]."""
BeforePass: TypeAlias = Callable[[torch.Tensor], None]
"""Is told, before each forward pass, the number of the prompt of each of its rows [rows]."""

MOST_ENDED = 0.25
"""Share of a batch's rows that may have ended before they leave it: each time the rest of the cache is copied."""
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
    """The tokens behind each prompt, at most ``most``, with the one that ends them. ``copies``: how many rows each
    prompt has, side by side."""
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
    """Rows of tokens, padded on the left, with the model's cache; ``logits`` [rows, vocabulary]: of the next token."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], before_pass: BeforePass) -> None:
        width = max(map(len, prompts))
        padded = [[0] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        self.model, self.before_pass = model, before_pass
        self.prompts = torch.arange(len(prompts), device=model.device)
        self.ids, self.mask = (torch.tensor(values, device=model.device) for values in (padded, mask))
        bare = model.get_base_model() if hasattr(model, "peft_config") else model
        known = inspect.signature(type(bare).forward).parameters  # a trainer may have replaced that of the object
        self.last_only = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        self.takes_positions = "position_ids" in known
        self.cache_name = "past_key_values" if "past_key_values" in known else "cache_params"
        self.cache: Any = None
        self.compute()

    def compute(self) -> None:
        """The logits behind the tokens that the model has not seen yet: all of a prompt, then one."""
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
        """Only these rows, in this order; a place may come more than once."""
        places = places.to(self.ids.device)
        self.ids, self.mask, self.logits = self.ids[places], self.mask[places], self.logits[places]
        self.prompts = self.prompts[places]
        self.cache.reorder_cache(places)


class _Layer(DynamicLayer):  # type: ignore[misc]
    """Keys and values in buffers with room for more tokens; DynamicLayer copies all of them for each token."""

    @classmethod
    def of(cls, layer: DynamicLayer) -> "_Layer":
        """A layer with the content of that layer."""
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
