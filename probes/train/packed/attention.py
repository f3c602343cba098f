"""Causal attention within sequences that are packed into one row, one after the other. Imports torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True)
class Extent:
    """Where the tokens of a sequence are in a pass. ``own``: how many tokens of its own it has; they follow those of
    the sequence before it. ``shared``: how many tokens at its beginning belong to another sequence; they are in the
    pass from place ``start`` on."""

    own: int
    shared: int = 0
    start: int = 0

    @property
    def length(self) -> int:
        return self.shared + self.own

    def place(self, token: int, begin: int) -> int:
        """The place in the pass of the sequence's token with this index; its own tokens begin at ``begin``."""
        return self.start + token if token < self.shared else begin + token - self.shared


class PaddedLayout:
    """A padded layout [S, L] for S sequences of at most L tokens, with N own tokens together. ``places`` [N]: where the
    own tokens go in it. ``copied`` [C]: the places in the pass of shared tokens, all different, and ``copies`` [C]:
    where their copies go."""

    def __init__(self, sequences: Sequence[Extent], device: torch.device) -> None:
        self.sequences, self.width = len(sequences), max(one.length for one in sequences)
        rows = [(number * self.width, one) for number, one in enumerate(sequences)]
        self.copied = self.copies = self.places = None
        if any(one.shared for one in sequences):
            self.copied = _ranges([(one.start, one.shared) for _, one in rows]).to(device)
            self.copies = _ranges([(row, one.shared) for row, one in rows]).to(device)
        if self.copies is not None or any(one.length < self.width for one in sequences):
            self.places = _ranges([(row + one.shared, one.own) for row, one in rows]).to(device)

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
            rows = pad(rows, self.places, self.copied, self.copies, self.sequences * self.width)
        return rows.reshape(self.sequences, self.width, *rows.shape[1:]).transpose(1, 2)


def _ranges(starts: Sequence[tuple[int, int]]) -> torch.Tensor:
    """The ranges of all (start, length), one after the other."""
    return torch.cat([torch.arange(start, start + number) for start, number in starts])


class _Pad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, places: Any, copied: Any, copies: Any, number: int) -> torch.Tensor:
        ctx.places, ctx.copied, ctx.copies = places, copied, copies
        found = rows.new_zeros(number, *rows.shape[1:]).index_copy_(0, places, rows)
        return found if copied is None else found.index_copy_(0, copies, rows.index_select(0, copied))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        found = gradient.index_select(0, ctx.places)
        if ctx.copied is not None:
            both = found.index_select(0, ctx.copied).add_(gradient.index_select(0, ctx.copies))
            found.index_copy_(0, ctx.copied, both)
        return found, None, None, None, None


class _Unpad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        ctx.places, ctx.number = places, len(rows)
        return rows.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        return gradient.new_zeros(ctx.number, *gradient.shape[1:]).index_copy_(0, ctx.places, gradient), None


pad: Callable[..., torch.Tensor] = _Pad.apply
"""(rows, places, copied, copies, number) -> ``number`` rows: ``rows`` at ``places``, those at ``copied`` at ``copies``,
too, and zeros elsewhere."""
unpad: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = _Unpad.apply
"""(rows, places) -> the rows at these places, which are all different: ``index_select`` with a faster gradient."""
