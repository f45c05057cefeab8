"""The Wasserstein GAN with gradient penalty, Gulrajani et al. 2017 (arXiv:1704.00028): `gan`'s generator, and a critic.

L_D = E[D(G(z))] - E[D(x)] + weight E[(|grad D(x')| - 1)^2], L_G = -E[D(G(z))], x' between real and generated rows.

Categories have no points in between, embedded rows have: the penalty is taken there. The embedding is part of the
critic, and could stretch the space in which the slope is measured; vectors of length 1 keep it from doing so.
"""

from __future__ import annotations

from synthspark_models.gan import GanDiscriminator
from synthspark_models.tabular import TableShape


class WganCritic(GanDiscriminator):
    """Embedded row (B, E) to a value (B,), not a logit.

    No batch normalisation, as the penalty is one row's (section 4 of the paper), and no dropout, which would add noise
    to the slope.
    """

    def __init__(self, shape: TableShape, hidden: int = 256) -> None:
        super().__init__(shape, hidden, dropout=0.0, unit_embedding=True)
