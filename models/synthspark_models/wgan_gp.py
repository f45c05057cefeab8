"""Wasserstein GAN with gradient penalty, Gulrajani et al. 2017 (arXiv:1704.00028): `gan`'s generator and a critic.

L_D = E[D(G(z))] - E[D(x)] + weight E[(|grad D(x')| - 1)^2], L_G = -E[D(G(z))], x' between real and generated rows.

Categories cannot be interpolated, so the penalty is computed on embedded rows. The embedding is part of the critic and
could stretch the space in which the slope is measured; embeddings of length 1 prevent this.
"""

from __future__ import annotations

from synthspark_models.gan import GanDiscriminator
from synthspark_models.tabular import TableShape


class WganCritic(GanDiscriminator):
    """Critic from embedded rows (B, E) to values (B,), which are not logits.

    It has no batch normalisation, since the penalty is defined per row (section 4 of the paper), and no dropout, which
    would add noise to the slope.
    """

    def __init__(self, shape: TableShape, hidden: int = 256) -> None:
        super().__init__(shape, hidden, dropout=0.0, unit_embedding=True)
