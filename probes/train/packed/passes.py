"""Forward passes of the base over packed blocks of any adapters. Imports torch and transformers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from probes.train.packed.adapter import Adapter
from probes.train.packed.attention import Extent, PaddedLayout
from probes.train.packed.blocks import Block
from probes.train.packed.head import token_logps
from probes.train.packed.layers import AdaptedLayers, Span

ATTENTION = "nightlane_packed"
"""The name under which transformers finds our attention function while a base is open."""

BlockOf = tuple[Adapter | None, Block]
"""A block and its adapter; None for the base alone."""


class Passes:
    """Opens a base for passes (``opened``). The base is frozen inside the block, and as before afterwards."""

    def __init__(self, model: Any, layers: AdaptedLayers) -> None:
        self._model, self._layers, self._layout = model, layers, PaddedLayout([Extent(1)], model.device)

    @classmethod
    @contextmanager
    def opened(cls, model: Any, layers: Sequence[str]) -> Iterator["Passes"]:
        """``layers``: the full names of layers for which an adapter may have matrices."""
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        passes = cls(model, AdaptedLayers(model, layers))
        config, before = model.config, model.config._attn_implementation
        ALL_ATTENTION_FUNCTIONS[ATTENTION] = passes._attend
        try:
            model.requires_grad_(False)
            config._attn_implementation = ATTENTION
            with passes._layers.on():
                yield passes
        finally:
            config._attn_implementation = before
            del ALL_ATTENTION_FUNCTIONS[ATTENTION]
            for parameter in trainable:
                parameter.requires_grad_(True)

    def logps(self, parts: Sequence[BlockOf]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """For each block, the log probabilities [P] of its predicted tokens, and whether each is the most likely."""
        blocks = [block for _, block in parts]
        starts, spans = [0], []
        for adapter, block in parts:
            starts.append(starts[-1] + block.tokens)
            if adapter is not None:
                spans.append(Span(starts[-2], starts[-1], adapter.matrices(block)))
        sequences = [
            replace(one, start=start + one.start)
            for start, block in zip(starts, blocks, strict=False)
            for one in block.sequences
        ]
        self._layout = PaddedLayout(sequences, self._model.device)
        self._layers.spans = spans
        ids, positions = (torch.cat(each)[None] for each in zip(*((b.ids, b.positions) for b in blocks), strict=True))
        hidden = self._model.get_decoder()(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state[0]
        sources = torch.cat([block.sources + start for start, block in zip(starts, blocks, strict=False)])
        head, targets = self._model.get_output_embeddings(), torch.cat([block.targets for block in blocks])
        logps, is_argmax = token_logps(
            hidden.index_select(0, sources), targets, head.weight, getattr(head, "bias", None)
        )
        sizes = [len(block.targets) for block in blocks]
        return list(zip(torch.split(logps, sizes), torch.split(is_argmax, sizes), strict=True))

    def _attend(
        self, layer: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any, **settings: Any
    ) -> tuple[torch.Tensor, None]:
        """The attention function that transformers calls."""
        if odd := [name for name in ("softcap", "s_aux", "position_bias") if settings.get(name) is not None]:
            raise NotImplementedError(f"attention with {odd[0]}")
        scaling = settings.get("scaling")
        return self._layout.attend(query, key, value, scaling, settings.get("sliding_window")), None
