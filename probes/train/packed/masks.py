"""Dropout masks as TRL draws them on a CPU. Imports torch."""

from collections.abc import Callable
from itertools import count

import torch

from probes.train.packed.blocks import Block

Draw = Callable[[torch.Tensor], torch.Tensor]
"""Draws the dropout mask for the input of a layer: [tokens, inputs] -> ones (kept) and zeros, of the same shape."""


class MaskStream:
    """The masks of a training run in the order of use, from the random stream that TRL would have with this seed.
    Adapters that train in step and need the same masks can share one stream (``shared``): the first adapter draws the
    masks of a block, and they are kept until an adapter begins the next block.
    """

    def __init__(self, device: torch.device, seed: int, dropout: float) -> None:
        self.shared = False
        self._left = 1 - dropout
        self._random = torch.Generator(device).manual_seed(seed)
        torch.empty((), dtype=torch.int64, device=device).random_(generator=self._random)  # TRL's loader draws this
        self._number, self._kept = 0, list[torch.Tensor]()

    def of_block(self, number: int, block: Block) -> Draw:
        """Draws the masks of a block. ``number``: of the block among all blocks of an adapter's training."""
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
        """A mask drawn in the shape of TRL's padded layout, which keeps the random stream the same."""
        size = len(block.sequences) * block.width
        mask = rows.new_empty(size, rows.shape[1]).bernoulli_(self._left, generator=self._random)
        return mask if size == len(rows) else mask.index_select(0, block.places)
