"""Dropout masks as TRL draws them on a CPU. Imports torch."""

from collections.abc import Callable
from itertools import count

import torch

from probes.train.packed.blocks import Block

Draw = Callable[[torch.Tensor], torch.Tensor]
"""Takes the rows [tokens, inputs] that a layer sees; returns what dropout leaves of them, as ones and zeros."""


class MaskStream:
    """The masks of a training in the order in which it needs them, from the random stream of TRL's training with this
    seed. Adapters that train in step and need the same masks can share one stream: then the masks of a block are drawn
    for the first of them, and kept until any of them begins the next block.
    """

    def __init__(self, device: torch.device, seed: int, dropout: float) -> None:
        self.shared = False
        self._left = 1 - dropout
        self._random = torch.Generator(device).manual_seed(seed)
        torch.empty((), dtype=torch.int64, device=device).random_(generator=self._random)  # TRL's loader draws this
        self._number, self._kept = 0, list[torch.Tensor]()

    def of_block(self, number: int, block: Block) -> Draw:
        """``number``: of the block among all that an adapter has trained on."""
        if number != self._number:
            self._number, self._kept = number, []
        places = count()

        def draw(rows: torch.Tensor) -> torch.Tensor:
            place = next(places)
            if place < len(self._kept):
                return self._kept[place]
            mask = self._drawn(rows, block)
            if self.shared:
                self._kept.append(mask)
            return mask

        return draw

    def _drawn(self, rows: torch.Tensor, block: Block) -> torch.Tensor:
        """Drawn for TRL's padded layout, so that the stream is the same."""
        size = len(block.sequences) * block.width
        mask = rows.new_empty(size, rows.shape[1]).bernoulli_(self._left, generator=self._random)
        return mask if size == len(rows) else mask.index_select(0, block.places)
