"""Linear layers of a base with several adapters: each adapter's low-rank part applies to its own rows only.

During training a layer's ``forward`` is replaced; nothing else of the base is wrapped or changed. Imports torch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import linear


@dataclass(frozen=True)
class Matrices:
    """One adapter in one layer, which adds ``scale`` * B(A(x)): ``a`` [rank, inputs], ``b`` [outputs, rank]. The
    backward pass adds to ``a_gradient`` and ``b_gradient``. ``mask``: draws dropout masks (``masks.Draw``); None
    without dropout."""

    a: torch.Tensor
    b: torch.Tensor
    a_gradient: torch.Tensor
    b_gradient: torch.Tensor
    scale: float
    mask: Callable[[torch.Tensor], torch.Tensor] | None = None


@dataclass(frozen=True)
class Span:
    """The tokens [start, end) of a pass, which belong to one adapter. ``layers``: its matrices by layer name."""

    start: int
    end: int
    layers: Mapping[str, Matrices]


class AdaptedLayers:
    """The layers of a model, by full name, for which any adapter has matrices. ``spans``: of the current pass; without
    spans, the layers compute what the base does."""

    def __init__(self, model: Any, names: Sequence[str]) -> None:
        self.spans: Sequence[Span] = ()
        self._layers = {name: model.get_submodule(name) for name in names}
        self._anchor = torch.zeros((), requires_grad=True)

    @contextmanager
    def on(self) -> Iterator[None]:
        for name, layer in self._layers.items():
            layer.forward = self._forward_of(name, layer, layer.forward)
        try:
            yield
        finally:
            for layer in self._layers.values():
                del layer.forward

    def _forward_of(self, name: str, layer: Any, original: Callable[..., Any]) -> Callable[[torch.Tensor], Any]:
        plain = type(layer) is torch.nn.Linear

        def forward(x: torch.Tensor) -> Any:
            parts = [(span.start, span.end, span.layers[name]) for span in self.spans if name in span.layers]
            if not parts:
                return original(x)
            if plain:
                return _adapted(x, self._anchor, layer.weight, layer.bias, None, parts)
            return _adapted(x, self._anchor, None, None, original(x), parts)

        return forward


class _Adapted(torch.autograd.Function):
    """x [1, N, inputs] -> [1, N, outputs]: the output of the frozen layer (``given``, or computed from ``weight`` and
    ``bias``) plus the low-rank parts.

    ``anchor`` requires a gradient, so that the backward pass also runs if x requires none. The backward pass adds the
    gradients of the matrices to their buffers and does not return them.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, anchor: Any, weight: Any, bias: Any, given: Any, parts: Any) -> torch.Tensor:
        rows = x.flatten(0, -2)
        found = linear(rows, weight, bias) if given is None else given.flatten(0, -2).clone()
        kept = []
        for start, end, one in parts:
            own = rows[start:end]
            mask = None if one.mask is None else one.mask(own)
            seen = own if mask is None else own * mask
            inner = seen @ one.a.T.to(rows.dtype)
            found[start:end].addmm_(inner, one.b.T.to(rows.dtype), alpha=one.scale)
            kept += [seen, inner, mask]
        ctx.parts, ctx.weight = parts, weight
        ctx.save_for_backward(*kept)
        return found.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        rows, kept = gradient.flatten(0, -2), ctx.saved_tensors
        inputs = None
        if ctx.needs_input_grad[0]:
            width = ctx.parts[0][2].a.shape[1]
            inputs = rows.new_zeros(len(rows), width) if ctx.weight is None else rows @ ctx.weight
        for place, (start, end, one) in enumerate(ctx.parts):
            seen, inner, mask = kept[3 * place : 3 * place + 3]
            own = rows[start:end]
            back = (own @ one.b.to(rows.dtype)).mul_(one.scale)
            one.b_gradient.add_(own.T @ inner, alpha=one.scale)
            one.a_gradient.add_(back.T @ seen)
            if inputs is not None and mask is None:
                inputs[start:end].addmm_(back, one.a.to(rows.dtype))
            elif inputs is not None:
                inputs[start:end].addcmul_(back @ one.a.to(rows.dtype), mask)
        given = gradient if ctx.weight is None else None
        return None if inputs is None else inputs.view(*gradient.shape[:-1], -1), None, None, None, given, None


_adapted: Callable[..., torch.Tensor] = _Adapted.apply
