"""Losses, each with its formula. Logits are raw scores; losses are scalars to minimise, bounds are scalars to maximise.

Shapes: B batch, S positives, M negatives (for categorical codes: values), R rank, A categorical codes, U continuous
codes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def minimax_discriminator_loss(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """Compute L_D = -[log D(x) + log(1 - D(G(z)))], Goodfellow et al. 2014 (arXiv:1406.2661).

    smoothing: the target of D(x) is 1 - smoothing (one-sided label smoothing, Salimans et al. 2016). real, fake:
    logits, shape (B,).
    """
    target = torch.full_like(real, 1.0 - smoothing)
    return F.binary_cross_entropy_with_logits(real, target) + F.softplus(fake).mean()


def minimax_generator_loss(fake: Tensor) -> Tensor:
    """Compute L_G = -log D(G(z)), the non-saturating form of the same paper. fake: logits, shape (B,)."""
    return F.softplus(-fake).mean()


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Compute max(0, 1 - D(x)) + max(0, 1 + D(G(z))), Lim, Ye 2017 (arXiv:1705.02894)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Compute E[D(G(z))] - E[D(x)], Arjovsky et al. 2017 (arXiv:1701.07875)."""
    return fake.mean() - real.mean()


def critic_generator_loss(fake: Tensor) -> Tensor:
    """Compute -E[D(G(z))], the generator's loss for both the hinge and the Wasserstein loss."""
    return -fake.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, weight: float = 10.0) -> Tensor:
    """Compute weight x E[(|grad D(x')| - 1)^2], x' between real and fake, shapes (B, R).

    Gulrajani et al. 2017 (arXiv:1704.00028).
    """
    share = torch.rand(len(real), 1, device=real.device)
    between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty: Tensor = weight * ((gradient.norm(2, dim=1) - 1) ** 2).mean()
    return penalty


def mutual_information_bound(
    logits: Tensor, categorical: Tensor, mean: Tensor, log_variance: Tensor, continuous: Tensor
) -> Tensor:
    """Compute L_I = H(c) + E[log Q(c | x)] <= I(c; x), in nats, to maximise. Chen et al. 2016 (arXiv:1606.03657).

    Categorical codes are uniform, so H = log M each. Continuous codes are uniform in [-1, 1], so H = log 2 each, and Q
    is a normal density with predicted mean and variance.

    logits: (B, A, M); categorical: codes, int64 (B, A); mean, log_variance, continuous: (B, U).
    """
    bound = logits.new_zeros(())
    if categorical.shape[1]:
        read = -F.cross_entropy(logits.flatten(0, 1), categorical.flatten())
        bound = bound + categorical.shape[1] * (math.log(logits.shape[2]) + read)
    if continuous.shape[1]:
        square = (continuous - mean) ** 2 / log_variance.exp()
        density = -0.5 * (math.log(2 * math.pi) + log_variance + square)
        bound = bound + continuous.shape[1] * math.log(2) + density.sum(dim=1).mean()
    return bound


def ranking_loss(
    query: Tensor, positives: Tensor, positive_mask: Tensor, negatives: Tensor, negative_log_q: Tensor
) -> Tensor:
    """Compute the sampled softmax loss of every positive against shared negatives, with sampling correction.

    -log( e^s+ / (e^s+ + sum_m e^(s_m - log(M q_m))) ), averaged over a row's positives, then over rows with positives.
    The sum over sampled negatives is an unbiased estimate of the sum over all counterparts (Bengio, Senecal 2008,
    doi:10.1109/TNN.2007.912312; Yi et al. 2019, doi:10.1145/3298689.3346996).

    query: (B, R); positives: (B, S, R); positive_mask: bool (B, S); negatives: (M, R); negative_log_q: log of the
    probability q of drawing each negative, (M,).
    """
    positive_scores = torch.einsum("br,bsr->bs", query, positives)
    corrected = query @ negatives.T - (negative_log_q + torch.log(torch.tensor(float(len(negatives)))))
    rest = torch.logsumexp(corrected, dim=1, keepdim=True)
    losses = F.softplus(rest - positive_scores) * positive_mask
    per_row = losses.sum(dim=1) / positive_mask.sum(dim=1).clamp(min=1)
    return per_row.sum() / positive_mask.any(dim=1).sum().clamp(min=1)
