"""The convolutional GAN, Radford et al. 2015 (arXiv:1511.06434), along the columns of a row.

A row is a sequence of P positions, one per column and the rest unused. The generator expands a short sequence by
strided transposed convolutions, the discriminator reduces it by strided convolutions. As in the paper there is no
pooling, ReLU in the generator, LeakyReLU in the discriminator, and batch normalisation in both except in the outer
layers.

Shapes: B batch, C categorical columns, N numeric columns, L latent, W channels of the full sequence, P positions,
E = C W + N length of an embedded row.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from synthspark_models.rows import RowDiscriminator, RowEmbedding, RowGenerator, RowHeads, Sample
from synthspark_models.tabular import TableShape

START = 2
"""Length of the sequence that the generator starts with and the discriminator ends with."""
KERNEL, STRIDE, PADDING = 4, 2, 1
"""Parameters of convolutions that exactly double or halve a sequence."""
MIN_CHANNELS = 16


def line(shape: TableShape, hidden: int) -> list[int]:
    """Return the channels of each layer, from `hidden` for the short sequence, halved with each doubling of positions.

    The full sequence has START x 2^(n - 1) positions for n layers: the smallest number, after at least two doublings,
    that fits every column.
    """
    columns = len(shape.cardinalities) + shape.num_numeric
    doublings = 2
    while START << doublings < columns:
        doublings += 1
    return [hidden] + [max(MIN_CHANNELS, hidden >> i) for i in range(1, doublings + 1)]


class DcganGenerator(RowGenerator):
    """Generator from noise to a sequence of positions; the head of each column reads its own position."""

    def __init__(self, shape: TableShape, noise_dim: int = 64, hidden: int = 256) -> None:
        super().__init__()
        self.latent_dim = noise_dim
        self.num_columns = len(shape.cardinalities) + shape.num_numeric
        channels = line(shape, hidden)
        self.start = nn.Linear(noise_dim, hidden * START)
        layers: list[nn.Module] = [nn.BatchNorm1d(hidden), nn.ReLU()]
        for before, after in zip(channels, channels[1:], strict=False):
            layers += [nn.ConvTranspose1d(before, after, KERNEL, STRIDE, PADDING), nn.BatchNorm1d(after), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.heads = RowHeads(shape, channels[-1])

    def forward(self, latent: Tensor, temperature: float = 0.5) -> Sample:
        """Generate rows. latent: shape (B, L); temperature: temperature of the Gumbel softmax."""
        short = self.start(latent).view(len(latent), -1, START)
        places = self.trunk(short).transpose(1, 2)  # (B, P, W)
        sample: Sample = self.heads(places[:, : self.num_columns], temperature)
        return sample


class DcganDiscriminator(RowDiscriminator):
    """Discriminator of embedded rows; a column has W channels: an embedding, or an affine function of a number."""

    def __init__(self, shape: TableShape, hidden: int = 256, spectral: bool = False) -> None:
        super().__init__()
        *_, width = channels = line(shape, hidden)
        self.num_categories, self.width = len(shape.cardinalities), width
        self.places = START << (len(channels) - 1)
        self.embedding = RowEmbedding(shape, [width] * self.num_categories)
        self.slope = nn.Parameter(torch.randn(shape.num_numeric, width) * 0.5)
        self.origin = nn.Parameter(torch.randn(shape.num_numeric, width) * 0.5)
        layers: list[nn.Module] = []
        inwards = channels[::-1]
        for i, (before, after) in enumerate(zip(inwards, inwards[1:], strict=False)):
            convolution: nn.Module = nn.Conv1d(before, after, KERNEL, STRIDE, PADDING)
            layers.append(spectral_norm(convolution) if spectral else convolution)
            if i > 0 and not spectral:  # batch norm rescales, which would undo the bounded slope
                layers.append(nn.BatchNorm1d(after))
            layers.append(nn.LeakyReLU(0.2))
        self.trunk = nn.Sequential(*layers)
        last: nn.Module = nn.Linear(hidden * START, 1)
        self.last = spectral_norm(last) if spectral else last

    def judge(self, row: Tensor) -> Tensor:
        """Return the logits of embedded rows, shape (B,). row: (B, E)."""
        cut = self.num_categories * self.width
        numbers = row[:, cut:, None] * self.slope + self.origin
        columns = torch.cat([row[:, :cut].view(len(row), self.num_categories, self.width), numbers], dim=1)
        outer = F.pad(columns.transpose(1, 2), (0, self.places - columns.shape[1]))
        logits: Tensor = self.last(self.trunk(outer).flatten(1)).squeeze(1)
        return logits
