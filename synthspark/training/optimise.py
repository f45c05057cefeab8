"""Optimisation steps shared by all trainers: average gradients over processes, clip and apply them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch import distributed as dist

WARM_UP = 0.3
"""Share of the steps during which the learning rate rises, as in Smith, Topin 2018 (arXiv:1708.07120)."""
STEADY = 0.5
"""Share of the steps before the learning rate falls, as in Hu et al. 2024 (arXiv:2404.06395)."""


def processes() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def adam(module: nn.Module, rate: float, weight_decay: float = 0.0) -> torch.optim.Adam:
    """Return Adam with low momentum, as used for adversarial training; fused, which is faster for small networks."""
    return torch.optim.Adam(module.parameters(), rate, betas=(0.5, 0.9), weight_decay=weight_decay, fused=True)


def apply(loss: Tensor, module: nn.Module, optimizer: torch.optim.Optimizer, clip: float) -> None:
    """Minimise `loss` by one step over the parameters of `module` only.

    Gradients are averaged over processes by one all-reduce of the flat gradient. (DistributedDataParallel would need
    every parameter inside `forward`, and fails for two networks whose losses share one backward pass.)
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    filled = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)]
    if processes() > 1:
        filled = _averaged(filled)
    for parameter, gradient in zip(parameters, filled, strict=True):
        parameter.grad = gradient
    nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()


def averaged(values: Tensor) -> Tensor:
    """Return the mean of a tensor over all processes."""
    if processes() > 1:
        dist.all_reduce(values)
        values = values / processes()
    return values


def broadcast(module: nn.Module) -> None:
    """Copy the weights of rank 0 to all processes."""
    if processes() > 1:
        for tensor in [*module.parameters(), *module.buffers()]:
            dist.broadcast(tensor.data, src=0)


def _averaged(gradients: list[Tensor]) -> list[Tensor]:
    flat = averaged(torch.cat([g.reshape(-1) for g in gradients]))
    pieces = torch.split(flat, [g.numel() for g in gradients])
    return [p.view_as(g) for p, g in zip(pieces, gradients, strict=True)]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the optimizer."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def one_cycle(share: float, peak: float) -> float:
    """Return the learning rate after `share` of all steps: from peak / 25 up to peak, then down to peak / 10,000."""
    if share < WARM_UP:
        return _between(peak / 25, peak, share / WARM_UP)
    return _between(peak, peak / 1e4, (share - WARM_UP) / (1 - WARM_UP))


def learning_rate_at(share: float, peak: float) -> float:
    """Return the learning rate after `share` of all steps: peak for the first half, then down to peak / 10,000."""
    return _between(peak, peak / 1e4, max(0.0, share - STEADY) / (1 - STEADY))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
