"""Attention within packed sentences on a GPU, where launching costs more than padding: all sentences in one kernel.

In bf16 and fp16 that is flash attention for sequences of any lengths (Dao 2023), in float32 the memory-efficient kernel (Rabe and
Staats 2021): neither computes any padding, and both drop attention weights themselves. What they do not serve is padded for this one
product alone; all else in the encoder stays packed.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from workbench.models.layout import PackedLayout, band

logger = logging.getLogger(__name__)

_TRIAL_LENGTHS = [1, 3, 3, 17, 40]
_TRIAL_HEADS = 2
_TRIAL_WINDOW = 5
_TRIAL_DROPOUT = 0.1
_TRIAL_TOLERANCE = {torch.bfloat16: 0.02, torch.float16: 0.02, torch.float32: 1e-4}
"""Relative. In half precision the two ways round in different places; float32 that was rounded to TF32 would be off by 1e-3."""
_TRIAL_SHARES = (0.06, 0.14)
"""Between which the share of dropped weights lies in a trial: four standard deviations around 0.1 of the thousand weights that a window leaves."""
_ALIGNED = 8
"""Heads are widened to a multiple of this, as the kernels want them."""


class _Kernel(Protocol):
    """Attention over (tokens, heads, width), sentences told apart by where they begin, int32 (sentences + 1,)."""

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bounds: Tensor,
        longest: int,
        scale: float,
        dropout: float,
        window: int | None,
    ) -> Tensor: ...


def attend_in_one(
    query: Tensor, key: Tensor, value: Tensor, layout: PackedLayout, scale: float, dropout: float, window: int | None
) -> Tensor:
    """Attend within each sentence, all sentences at once.

    Args:
        query: (heads, tokens, width).
        key: Shaped like query.
        value: Shaped like query.
        layout: Which tokens belong to which row.
        scale: Factor on the scores.
        dropout: Share of the attention weights set to zero.
        window: Tokens this far apart, or farther, do not see each other; None where all do.

    Returns:
        The attended values, (tokens, heads, width).
    """
    kind = query.device.type
    q, k, v = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)
    if torch.is_autocast_enabled(kind):
        # Some encoders turn queries and keys by float32 angles, which leaves them float32 under autocast.
        short = torch.get_autocast_dtype(kind)
        q, k, v = (x.to(short) if x.dtype == torch.float32 else x for x in (q, k, v))
    if window is not None and window >= layout.longest:
        window = None
    dtype = q.dtype
    name = _KERNEL_OF.get(dtype)
    if (
        name is None
        or not dropout < 1.0
        or not _serves(name, query.device, dtype, query.shape[-1], dropout > 0, window is not None)
    ):
        return _padded(q, k, v, layout, scale, dropout, window)
    return _in_kernel(_KERNELS[name], q, k, v, layout.boundaries, layout.longest, scale, dropout, window)


def leave_cudnn_out() -> None:
    """Keep torch from handing padded attention to cuDNN, in this process.

    torch prefers cuDNN's kernel on Hopper and Blackwell, and cuDNN makes a plan for every new shape, which takes longer than many
    steps; here nearly every batch has a shape of its own. Called where a process of the workbench begins to train or to encode, for
    a program that imports the workbench may want it otherwise.
    """
    switch = getattr(torch.backends.cuda, "enable_cudnn_sdp", None)
    if switch is not None:
        switch(False)


def _padded(
    query: Tensor, key: Tensor, value: Tensor, layout: PackedLayout, scale: float, dropout: float, window: int | None
) -> Tensor:
    """Return the attended values, (tokens, heads, width), of three of that shape, by torch's own kernels for padded rows."""
    q, k, v = (layout.to_padded(x).transpose(1, 2) for x in (query, key, value))
    mask = layout.padded_mask()[:, None, None, :]
    if window is not None and window < layout.longest:
        # What is in the padding looks at everything: a row of the softmax over nothing would be no number.
        near = band(layout.longest, window, query.device) | ~layout.padded_mask()[:, None, :, None]
        mask = mask & near
    attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale)
    return layout.from_padded(attended.transpose(1, 2))


def _in_kernel(
    kernel: _Kernel,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bounds: Tensor,
    longest: int,
    scale: float,
    dropout: float,
    window: int | None,
) -> Tensor:
    """Return what `_padded` does, without padding."""
    width = query.shape[-1]
    missing = -width % _ALIGNED
    q, k, v = (functional.pad(x, (0, missing)) if missing else x.contiguous() for x in (query, key, value))
    attended = kernel(q, k, v, bounds, longest, scale, dropout, window)
    return attended[..., :width] if missing else attended


# Both are what torch's own public functions call in the end; what stands around those costs ten times as much as the launch, or has
# no dropout. Their arguments are the same in all versions the workbench runs with, and every use is tried first.


def _flash(
    query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, longest: int, scale: float, dropout: float, window: int | None
) -> Tensor:
    sides = {} if window is None else {"window_size_left": window - 1, "window_size_right": window - 1}
    attended: Tensor = torch.ops.aten._flash_attention_forward(
        query, key, value, bounds, bounds, longest, longest, dropout, False, False, scale=scale, **sides
    )[0]
    return attended


def _efficient(
    query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, longest: int, scale: float, dropout: float, window: int | None
) -> Tensor:
    if window is not None:
        raise ValueError("the kernel for float32 has no window on both sides")
    rows = (x.unsqueeze(0) for x in (query, key, value))
    attended: Tensor = torch.ops.aten._efficient_attention_forward(
        *rows, None, bounds, bounds, longest, longest, dropout, 0, torch.is_grad_enabled(), scale=scale
    )[0]
    return attended.squeeze(0)


_KERNELS: dict[str, _Kernel] = {"flash": _flash, "efficient": _efficient}
_KERNEL_OF = {torch.bfloat16: "flash", torch.float16: "flash", torch.float32: "efficient"}


# --- trials -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """Whether a kernel gives the right numbers here.

    Attributes:
        right: Whether it does.
        reason: What is wrong, or how far the numbers are apart at most.
    """

    right: bool
    reason: str


def _serves(name: str, device: torch.device, dtype: torch.dtype, width: int, dropped: bool, windowed: bool) -> bool:
    return try_kernel(name, device, dtype, width, dropped, windowed).right


@functools.cache
def try_kernel(name: str, device: torch.device, dtype: torch.dtype, width: int, dropped: bool, windowed: bool) -> Trial:
    """Return whether this torch has a kernel for this GPU and head width, and it gives the numbers of plain attention.

    Values and gradients, found out once by trying: what the kernels take differs from version to version, and torch promises nothing
    of them. With dropout the weights that were dropped are read off first, and the plain way drops the same.

    Args:
        name: `flash` or `efficient`.
        device: The GPU.
        dtype: Of queries, keys and values.
        width: Of a head.
        dropped: Whether weights are dropped.
        windowed: Whether tokens far apart do not see each other.
    """
    dropout, window = _TRIAL_DROPOUT if dropped else 0.0, _TRIAL_WINDOW if windowed else None
    try:
        with _undisturbed(device):
            error, share = _trial_error(_KERNELS[name], device, dtype, width, dropout, window)
        right = error < _TRIAL_TOLERANCE[dtype]  # False too where it is no number
        reason = f"its numbers are off by up to {error:.2g}"
        if dropped and right and not _TRIAL_SHARES[0] < share < _TRIAL_SHARES[1]:
            right, reason = False, f"it dropped {share:.2g} of the weights instead of {dropout:g}"
    except (AttributeError, ImportError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        right, reason = False, (str(error).strip().splitlines() or [type(error).__name__])[0]
    if not right:
        what = " and ".join(word for word, given in (("dropout", dropped), ("a window", windowed)) if given)
        logger.info(
            "Attention%s is padded on this GPU, since torch's kernel for packed sentences does not serve: %s",
            f" with {what}" if what else "",
            reason,
        )
    return Trial(right, reason)


@contextmanager
def _undisturbed(device: torch.device) -> Iterator[None]:
    """Keep a trial apart from whatever it happens in the middle of.

    That may be a forward pass under autocast or without gradients, or one whose tensors a checkpoint counts: what the trial saves must
    not be among them. And the random numbers go on as if nothing had been drawn.
    """
    with ExitStack() as inside:
        inside.enter_context(torch.random.fork_rng([device] if device.type == "cuda" else []))
        inside.enter_context(torch.inference_mode(False))
        inside.enter_context(torch.enable_grad())
        inside.enter_context(torch.autocast(device.type, enabled=False))
        inside.enter_context(torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor))
        yield


def _trial_error(
    kernel: _Kernel, device: torch.device, dtype: torch.dtype, width: int, dropout: float, window: int | None
) -> tuple[float, float]:
    """Return how far values and gradients of a kernel are from the plain way's, relative, and which share of weights it dropped."""
    generator = torch.Generator().manual_seed(0)
    shape = (4, sum(_TRIAL_LENGTHS), _TRIAL_HEADS, width)
    *columns, outer = torch.randn(shape, generator=generator).to(device, dtype)
    layout = PackedLayout(_TRIAL_LENGTHS, device)

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        torch.manual_seed(1)  # the same weights are dropped each time
        return _in_kernel(kernel, query, key, value, layout.boundaries, layout.longest, 0.3, dropout, window)

    def with_gradients(way: _Way, columns: list[Tensor], outer: Tensor) -> Tensor:
        q, k, v = (column.clone().requires_grad_() for column in columns)
        attended = way(q, k, v)
        return torch.stack([attended, *torch.autograd.grad(attended, (q, k, v), outer)]).detach().double()

    kept = _kept(attend, layout, shape[1:], dtype, dropout, window)
    found = with_gradients(attend, columns, outer)
    wanted = with_gradients(
        lambda q, k, v: _plain(q, k, v, layout, 0.3, kept / (1 - dropout), window),
        [column.double() for column in columns],
        outer.double(),
    )
    # Each of the four against its own size: a gradient that is wrong must not hide behind a larger number elsewhere.
    errors = (found - wanted).abs().flatten(1).amax(dim=1) / wanted.abs().flatten(1).amax(dim=1)
    visible = _visible(layout, window)
    dropped = 1 - float(kept[:, visible].mean())
    return float(errors.max()), dropped


class _Way(Protocol):
    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor: ...


def _kept(
    attend: _Way, layout: PackedLayout, shape: tuple[int, ...], dtype: torch.dtype, dropout: float, window: int | None
) -> Tensor:
    """Return which attention weights a kernel keeps, float64 (heads, tokens, tokens).

    Where all scores are equal, the values of one-hot vectors are the weights themselves: 0 where they were dropped.
    """
    tokens, heads, width = shape
    kept = torch.ones(heads, tokens, tokens, dtype=torch.float64, device=layout.device)
    if not dropout:
        return kept
    nothing = torch.zeros(shape, dtype=dtype, device=layout.device)
    place, row = layout.positions(), layout.row_of_token
    with torch.no_grad():
        for start in range(0, layout.longest, width):
            one_hot = nothing.clone()
            for column in range(min(width, layout.longest - start)):
                one_hot[place == start + column, :, column] = 1
            weights = attend(nothing, nothing, one_hot)  # (tokens, heads, width): of each token, for `width` places of its row
            for column in range(min(width, layout.longest - start)):
                for token in (place == start + column).nonzero().flatten().tolist():
                    sees = row == row[token]
                    kept[:, sees, token] = (weights[sees, :, column] > 0).double().T
    kept[:, ~_visible(layout, window)] = 1
    return kept


def _visible(layout: PackedLayout, window: int | None) -> Tensor:
    """Return which tokens see each other, bool (tokens, tokens)."""
    row, place = layout.row_of_token, layout.positions()
    same = row.unsqueeze(1) == row
    return same if window is None else same & ((place.unsqueeze(1) - place).abs() < window)


def _plain(
    query: Tensor, key: Tensor, value: Tensor, layout: PackedLayout, scale: float, factors: Tensor, window: int | None
) -> Tensor:
    """Return the attended values, (tokens, heads, width), computed as plainly as can be; weights times (heads, tokens, tokens)."""
    scores = torch.einsum("ihw,jhw->hij", query, key) * scale
    weights = scores.masked_fill(~_visible(layout, window), float("-inf")).softmax(dim=-1) * factors
    return torch.einsum("hij,jhw->ihw", weights, value)
