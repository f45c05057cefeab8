"""The classic GAN for profiles: two MLPs, Goodfellow et al. 2014 (arXiv:1406.2661).

L_D = -[log D(x) + log(1 - D(G(z)))], L_G = -log D(G(z)).

Shapes: B batch, C categorical columns, N numeric columns, L latent (here: noise alone), H hidden, E embedded row.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from synthspark_models.rows import RowDiscriminator, RowEmbedding, RowGenerator, RowHeads, Sample
from synthspark_models.tabular import TableShape, embedding_width


class GanGenerator(RowGenerator):
    """Generator: an MLP with one head per column on its last layer."""

    def __init__(self, shape: TableShape, noise_dim: int = 64, hidden: int = 256) -> None:
        super().__init__()
        self.latent_dim = noise_dim
        self.num_columns = len(shape.cardinalities) + shape.num_numeric
        self.trunk = nn.Sequential(
            nn.Linear(noise_dim, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
        )
        self.heads = RowHeads(shape, hidden)

    def forward(self, latent: Tensor, temperature: float = 0.5) -> Sample:
        """Generate rows. latent: shape (B, L); temperature: temperature of the Gumbel softmax."""
        h = self.trunk(latent)
        sample: Sample = self.heads(h[:, None].expand(-1, self.num_columns, -1), temperature)
        return sample


class GanDiscriminator(RowDiscriminator):
    """Discriminator of embedded rows; further heads can share its `features`, shape (B, H).

    unit_embedding: see RowEmbedding; for a critic whose slope is bounded in the space of embedded rows.
    """

    def __init__(
        self,
        shape: TableShape,
        hidden: int = 256,
        dropout: float = 0.2,
        max_embedding: int = 32,
        spectral: bool = False,
        unit_embedding: bool = False,
    ) -> None:
        super().__init__()
        widths = [embedding_width(k, max_embedding) for k in shape.cardinalities]
        self.embedding = RowEmbedding(shape, widths, unit_embedding)
        layers: list[nn.Module] = [
            nn.Linear(self.embedding.width, hidden),
            nn.Linear(hidden, hidden),
            nn.Linear(hidden, 1),
        ]
        if spectral:
            layers = [spectral_norm(layer) for layer in layers]
        first, second, self.last = layers
        rest = [nn.LeakyReLU(0.2), nn.Dropout(dropout), second, nn.LeakyReLU(0.2), nn.Dropout(dropout)]
        self.trunk = nn.Sequential(first, *rest)

    def features(self, row: Tensor) -> Tensor:
        """Return the features of embedded rows, shape (B, H). row: (B, E)."""
        seen: Tensor = self.trunk(row)
        return seen

    def judge(self, row: Tensor) -> Tensor:
        """Return the logits of embedded rows, shape (B,). row: (B, E)."""
        logits: Tensor = self.last(self.features(row)).squeeze(1)
        return logits
