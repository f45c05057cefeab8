"""Draw new rows: the generator proposes, the judge weighs, and rows are sampled by weight. Needs no Spark.

The judge's probability that a row is real gives the density ratio real : proposed; accepting rows in proportion to it
is discriminator rejection sampling (Azadi et al. 2019, arXiv:1810.06758). Two steps improve on independent acceptance:
weights are first raked to the counts of real rows (iterative proportional fitting, Deming and Stephan 1940), then rows
are taken at equal steps along the cumulative weight (systematic sampling, Madow 1949), which gives every category its
expected number of rows, within one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from synthspark.errors import ConfigError
from synthspark.judging.judge import Judge
from synthspark.profiles.conditions import Wanted
from synthspark.profiles.hierarchy import Allowed, drawing_order, supports
from synthspark.profiles.tokens import Codes, TokenEncoding
from synthspark_models.autoregressive import NEVER, AutoregressiveGenerator, Rules, complete
from synthspark_models.tabular import MISSING, UNKNOWN

RAKING_ROUNDS = 5
RAKING_LIMIT = 1.5
"""Maximum factor by which raking changes a weight, so that it corrects counts without overruling the judge."""
IMPOSSIBLE = -1e6
"""Log probability at or below which a row does not meet the conditions."""

Weights = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Proposer:
    """A trained generator with the rules for its rows."""

    network: AutoregressiveGenerator
    encoding: TokenEncoding
    rules: Rules
    wanted: Wanted | None = None
    allowed: tuple[Allowed, ...] = ()

    @classmethod
    def of(
        cls, network: AutoregressiveGenerator, encoding: TokenEncoding, wanted: Wanted | None = None
    ) -> Proposer:  # fmt: skip
        """Create a proposer. wanted: conditions; their columns are drawn first, the most restricted one foremost."""
        first = sorted(wanted.shares, key=lambda i: float(wanted.shares[i].sum())) if wanted else []
        never = tuple(torch.from_numpy(np.where(out, NEVER, 0.0)).float() for out in encoding.forbidden_codes())
        shares = tuple((i, _log_shares(wanted.shares[i])) for i in first) if wanted else ()
        return cls(network, encoding, Rules(drawing_order(encoding, first), never, supports(encoding), shares), wanted,
                   tuple(Allowed.of(encoding, h) for h in encoding.hierarchies))  # fmt: skip

    def propose(self, rows: int, rng: np.random.Generator) -> tuple[Codes, Weights]:
        """Return `rows` proposals: codes (rows, K), and their weights (rows,), which are 1 without conditions.

        Rows that break a hierarchy get weight 0. They occur if earlier columns leave no allowed value, for example if
        real rows contradict several hierarchies. Raises ConfigError if no row can meet the conditions.
        """
        codes, chance = self._complete(np.zeros((rows, len(self.encoding.tokens)), np.int64), rng, self.rules)
        kept = ~np.any([allowed.broken(codes) for allowed in self.allowed] or [np.zeros(rows, bool)], axis=0)
        if self.wanted is None:
            return codes, kept.astype(np.float64)
        possible = (chance > IMPOSSIBLE) & kept
        if not possible.any():
            raise ConfigError(f"no row can meet all the conditions on {', '.join(self._conditioned())} at once: real "
                              "rows never have these values together")  # fmt: skip
        return codes, np.where(possible, np.exp(chance - chance.max()), 0.0)

    def impute(self, codes: Codes, asked: npt.NDArray[np.bool_], rng: np.random.Generator) -> Codes:
        """Draw the codes where `asked` (B, K) is true, given the other codes; never draws MISSING."""
        hidden = np.where(asked, UNKNOWN, codes)
        never = [n.clone() for n in self.rules.never]
        for column in never:
            column[MISSING] = NEVER
        completed, _ = self._complete(hidden, rng, Rules(self.rules.order, tuple(never), self.rules.supports))
        return np.where(asked, completed, codes)

    def _complete(self, codes: Codes, rng: np.random.Generator, rules: Rules) -> tuple[Codes, Weights]:
        uniform = torch.from_numpy(rng.random(codes.shape))
        with torch.inference_mode():
            drawn, chance = complete(self.network, torch.from_numpy(codes), rules, uniform)
        return drawn.numpy(), chance.numpy()

    def _conditioned(self) -> list[str]:
        assert self.wanted is not None
        return sorted({self.encoding.tokens[i].name for i in self.wanted.shares})


def density_ratio(judge: Judge, codes: Codes) -> Weights:
    """Return the density ratio real : proposed, shape (B,), of a judge trained on equally many rows of both."""
    chance = np.clip(judge.probability(codes.astype(np.float32)), 1e-4, 1 - 1e-4)
    ratio: Weights = chance / (1 - chance)
    return ratio


def rake(
    codes: Codes, weights: Weights, counts: Sequence[Sequence[int]], never: Sequence[npt.NDArray[np.bool_]]
) -> Weights:
    """Rake weights so that their sums per code approach the shares of real rows, column by column; they sum to 1."""
    total = weights.sum()
    if not total > 0:
        return np.full(len(codes), 1 / len(codes))
    start = now = weights / total
    targets = []
    for count, out in zip(counts, never, strict=True):
        target = np.where(out, 0.0, np.array(count, dtype=np.float64))
        targets.append(target / max(target.sum(), 1.0))
    for _ in range(RAKING_ROUNDS):
        for j, target in enumerate(targets):
            sums = np.bincount(codes[:, j], weights=now, minlength=len(target))
            factor = np.divide(target, sums, out=np.ones_like(sums), where=(sums > 0) & (target > 0))
            now = now * factor[codes[:, j]]
        now = np.clip(now, start / RAKING_LIMIT, start * RAKING_LIMIT)
        now = now / now.sum()
    done: Weights = now
    return done


def draw_rows(codes: Codes, weights: Weights, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Sample `count` distinct rows in proportion to their weights, in random order; returns their positions.

    Rows are sorted by the column with most codes first, so that each of its codes gets its share within one row.
    """
    chance = _inclusion(weights, count)
    widest = np.argsort(-codes.max(axis=0), kind="stable")
    line = np.lexsort([codes[:, j] for j in widest[::-1]])
    steps = np.floor(np.cumsum(chance[line]) - rng.random() + 1e-9)
    rows = line[np.diff(steps, prepend=-1.0) > 0]
    if len(rows) > count:
        rows = rows[:count]
    elif len(rows) < count:  # rounding, or fewer rows with positive weight than `count`
        left = np.setdiff1d(line[weights[line] > 0], rows)
        rows = np.concatenate([rows, left[: count - len(rows)]])
    return rng.permutation(rows)


def _inclusion(weights: Weights, count: int) -> Weights:
    """Return inclusion probabilities in proportion to the weights: they sum to `count`, and none exceeds 1."""
    chance: Weights = weights / weights.sum() * count
    for _ in range(50):
        over = chance > 1
        if not over.any():
            break
        chance = np.minimum(chance, 1.0)
        rest, sure = chance[chance < 1].sum(), (chance >= 1).sum()
        if not rest > 0:
            break
        chance = np.where(chance < 1, chance * (count - sure) / rest, 1.0)
    return chance


def _log_shares(shares: npt.NDArray[np.float64]) -> torch.Tensor:
    logs = np.full(len(shares), NEVER)
    np.log(shares, out=logs, where=shares > 0)
    return torch.from_numpy(logs).float()
