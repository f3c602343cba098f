"""Causal attention within sequences that lie one after the other in one row. Imports torch."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention


class PaddedLayout:
    """S sequences of at most L tokens, N together. ``places`` [N]: of the tokens in a padded layout [S, L]."""

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None:
        self.sequences, self.width = len(lengths), max(lengths)
        places = [torch.arange(length) + number * self.width for number, length in enumerate(lengths)]
        self.places = None if min(lengths) == self.width else torch.cat(places).to(device)

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scaling: float | None,
        window: int | None = None,
    ) -> torch.Tensor:
        """query [1, heads, N, D]; key and value [1, heads or fewer, N, D]. Returns [1, N, heads, D]. ``window``: how
        far back a token looks, itself included.

        Padding is at the right, so that causal attention never reads it.
        """
        query, key, value = (self._padded(each) for each in (query, key, value))
        near = self._near(window, query.device) if window is not None and window < self.width else None
        grouped = query.shape[1] != key.shape[1]
        found = scaled_dot_product_attention(
            query, key, value, near, is_causal=near is None, scale=scaling, enable_gqa=grouped
        )
        rows = found.transpose(1, 2).reshape(self.sequences * self.width, *found.shape[1::2])
        return (rows if self.places is None else unpad(rows, self.places)).unsqueeze(0)

    def _near(self, window: int, device: torch.device) -> torch.Tensor:
        token = torch.arange(self.width, device=device)
        back = token[:, None] - token
        return (back >= 0) & (back < window)

    def _padded(self, each: torch.Tensor) -> torch.Tensor:
        rows = each[0].transpose(0, 1)
        if self.places is not None:
            rows = pad(rows, self.places, self.sequences * self.width)
        return rows.reshape(self.sequences, self.width, *rows.shape[1:]).transpose(1, 2)


class _Pad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, places: torch.Tensor, number: int) -> torch.Tensor:
        ctx.places = places
        return rows.new_zeros(number, *rows.shape[1:]).index_copy_(0, places, rows)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return gradient.index_select(0, ctx.places), None, None


class _Unpad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        ctx.places, ctx.number = places, len(rows)
        return rows.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return gradient.new_zeros(ctx.number, *gradient.shape[1:]).index_copy_(0, ctx.places, gradient), None


pad: Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor] = _Pad.apply
"""Some rows, their places, a number: so many rows, these at their places and zeros elsewhere."""
unpad: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = _Unpad.apply
"""Some rows, places: the rows at these places, which are all different; ``index_select`` with a faster gradient."""
