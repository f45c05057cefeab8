"""Measure the stability of the pure GANs on the Complete Journey items; writes docs/stability.md.

Compares a badly configured `gan` alone, with each remedy (gradient clipping, another initialisation, more discriminator
steps) and with all of them; compares the four classic networks; and shows the effect of a code of `infogan`.
`--steps 600` trains longer.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch
from code_picture import Moved, draw
from torch import Tensor

from synthspark.clean import classify_entities
from synthspark.config import load
from synthspark.errors import TrainingError
from synthspark.features.encoding import EncodingLimits, TableEncoding, encode, fit
from synthspark.session import build_session
from synthspark.sides import ITEMS
from synthspark.stages.sources import entity_rules
from synthspark.training.divergence import Watch
from synthspark.training.gan import GanTrainer, diversity
from synthspark.training.task import Hyper, TrainingTask
from synthspark_models import Codes, InfoGanGenerator, Sample

ROOT = Path(__file__).resolve().parents[1]
BATCH, ROWS, EPOCH = 128, 4096, 25
PICTURE = "images/infogan_codes.png"
MAX_VALUES = 400
"""Maximum number of categories of a column whose mode is shown."""
NUMBER = "price"
BAD: Hyper = {"learning_rate": 0.05, "discriminator_learning_rate": 1e-4, "gradient_clip": 1e9, "label_smoothing": 0.0}
QUICK: Hyper = {"learning_rate": 1e-3, "discriminator_learning_rate": 1e-3}
"""Settings for few steps; the defaults are for complete trainings."""
REMEDIES: dict[str, Hyper] = {
    "badly set": {},
    "+ gradient_clip 0.1": {"gradient_clip": 0.1},
    "+ initialisation orthogonal": {"initialisation": "orthogonal"},
    "+ initialisation normal": {"initialisation": "normal"},
    "+ discriminator_steps 5": {"discriminator_steps": 5},
    "+ all three (orthogonal)": {"gradient_clip": 0.1, "initialisation": "orthogonal", "discriminator_steps": 5},
}


CODES: dict[str, Hyper] = {
    "categorical": {"categorical_codes": 1, "categories_per_code": 6, "continuous_codes": 0},
    "continuous": {"categorical_codes": 0, "continuous_codes": 1},
}


@dataclass(frozen=True)
class Items:
    """Encoded items of the shop."""

    encoding: TableEncoding
    codes: Tensor
    numbers: Tensor

    def batches(self, seed: int) -> Callable[[], dict[str, Tensor]]:
        """Return a function that samples BATCH rows per call."""
        draw = torch.Generator().manual_seed(seed)

        def batch() -> dict[str, Tensor]:
            rows = torch.randint(len(self.codes), (BATCH,), generator=draw)
            codes = zip(self.encoding.code_columns, self.codes[rows].T, strict=True)
            return {**dict(codes), **dict(zip(self.encoding.number_columns, self.numbers[rows].T, strict=True))}

        return batch


def shop_items() -> Items:
    """Fit and encode the shop's items by Spark, as stage featurize does."""
    config = load(ROOT / "conf" / "demo.yaml")
    declared = config.source.items
    assert declared is not None
    source = declared.model_copy(update={"attributes": {**declared.attributes, NUMBER: "numeric"},
                                         "columns": {**declared.columns, NUMBER: "shelf_price"}})  # fmt: skip
    spark = build_session("synthspark stability", config.spark)
    try:
        read = spark.read.parquet(str(ROOT / str(source.path)))
        rows = classify_entities(read, entity_rules(source, ITEMS)).where("reason is null").persist()
        encoding = fit(rows, source.attributes, EncodingLimits())
        encoded = encode(rows, encoding).select(*encoding.code_columns, *encoding.number_columns).toPandas()
    finally:
        spark.stop()
    codes = torch.from_numpy(encoded[encoding.code_columns].to_numpy("int64"))
    return Items(encoding, codes, torch.from_numpy(encoded[encoding.number_columns].to_numpy("float32")))


def trained(items: Items, network: str, hyper: Hyper, steps: int, seed: int) -> tuple[GanTrainer, str]:
    """Train for `steps` generator steps; return the trainer and the watch's message, checked every EPOCH steps."""
    task = TrainingTask(
        name="profile_items", network=network, feed_url="", num_rows=len(items.codes), output_url="", epochs=1,
        code_columns=items.encoding.code_columns, cardinalities=items.encoding.cardinalities,
        number_columns=items.encoding.number_columns, batch_size=BATCH, seed=seed, hyper=hyper,
    )  # fmt: skip
    torch.manual_seed(seed)
    trainer, watch, batch = GanTrainer(task, torch.device("cpu")), Watch.of(task), items.batches(seed)
    said = "goes on"
    for epoch in range(1, steps // EPOCH + 1):
        records = [trainer.step(batch()) for _ in range(EPOCH)]
        means = {name: float(torch.stack([r[name] for r in records]).mean()) for name in records[0]}
        try:
            watch.check({"epoch": epoch, **means})
        except TrainingError as error:
            said = str(error).split(": ", 1)[1].split(". Try")[0].split(" (")[0]
            break
    return trainer, said


def figures(items: Items, trainer: GanTrainer) -> tuple[float, float]:
    """Return diversity and distance of the marginals: total variation of codes, Kolmogorov-Smirnov of numbers."""
    generator = trainer.generator.eval()
    with torch.no_grad():
        sample = generator(generator.latent(ROWS))
    return compared_rows(items, sample.codes(), sample.numbers.nan_to_num())


def compared_rows(items: Items, codes: Tensor, numbers: Tensor) -> tuple[float, float]:
    """Return the figures of `figures` for the given rows."""
    distances = [
        0.5 * (_shares(codes[:, j], k) - _shares(items.codes[:, j], k)).abs().sum().item()
        for j, k in enumerate(items.encoding.cardinalities)
    ]
    distances += [_furthest(numbers[:, j], items.numbers[:, j]) for j in range(numbers.shape[1])]
    rows = torch.randperm(len(items.codes))[:ROWS]
    return diversity(codes, numbers, items.codes[rows], items.numbers[rows]).item(), mean(distances)


def _shares(codes: Tensor, cardinality: int) -> Tensor:
    return torch.bincount(codes, minlength=cardinality).float() / len(codes)


def _furthest(made: Tensor, real: Tensor) -> float:
    at = torch.cat([made, real]).sort().values
    below = [torch.searchsorted(x.sort().values, at, right=True) / len(x) for x in (made, real)]
    return (below[0] - below[1]).abs().max().item()


def compared(items: Items, runs: dict[str, tuple[str, Hyper]], steps: int, seeds: int) -> list[str]:
    """Return one table row per run, with mean and range over the seeds."""
    lines = ["| | diversity | marginal distance | CPU s | the watch, by seed |", "|---|---|---|---|---|"]
    for name, (network, hyper) in runs.items():
        started, results, said = time.process_time(), [], []
        for seed in range(seeds):
            trainer, words = trained(items, network, hyper, steps, seed)
            results.append(figures(items, trainer))
            said.append(words)
        spread, distance = (ranged([r[i] for r in results], 2) for i in (0, 1))
        seconds = (time.process_time() - started) / seeds
        lines.append(f"| {name} | {spread} | {distance} | {seconds:.0f} | {'; '.join(said)} |")
        print(lines[-1])
    rows = torch.randperm(len(items.codes))[:ROWS]
    real = compared_rows(items, items.codes[rows], items.numbers[rows])
    return [*lines, f"| {ROWS} real rows | {real[0]:.2f} | {real[1]:.2f} | | |"]


def codes_studied(items: Items, steps: int, seeds: int) -> list[str]:
    """Return a table of generated rows by code value, and the mutual information over all seeds.

    The table and docs/images/infogan_codes.png are of the first seed. It has one row per value of a code, with the same
    noise for each value; each training has one code.
    """
    shown = [j for j, k in enumerate(items.encoding.cardinalities) if k < MAX_VALUES]
    names = [items.encoding.categorical[j].name for j in shown]
    lines = ["| code | " + " | ".join([*names, *items.encoding.number_columns]) + " |",
             "|---" * (len(shown) + 1 + items.numbers.shape[1]) + "|"]  # fmt: skip
    studied: dict[str, list[Moved]] = {}
    bounds: dict[str, list[float]] = {}
    for kind, hyper in CODES.items():
        for seed in range(seeds):
            trainer, _ = trained(items, "infogan", QUICK | hyper, steps, seed)
            if seed == 0:
                samples = _moved(trainer, kind)
                lines += [_line(items, kind, value, sample, shown) for value, sample in samples.items()]
                studied[kind] = [_shares_of(items, value, sample, shown) for value, sample in samples.items()]
            batch = items.batches(9 + seed)
            found = [float(trainer.step(batch())["mutual_information"]) for _ in range(EPOCH)]
            bounds.setdefault(kind, []).append(mean(found))
    draw(ROOT / "docs" / PICTURE, studied, {kind: found[0] for kind, found in bounds.items()}, NUMBER)
    held = f"log 6 = {math.log(6):.2f} is the maximum for the categorical code"
    said = ", ".join(f"{kind} {ranged(found, 2)}" for kind, found in bounds.items())
    return [*lines, "", f"Lower bound of the mutual information with the code, in nats, mean over {EPOCH} batches and "
            f"over the seeds: {said}; {held}."]  # fmt: skip


def _moved(trainer: GanTrainer, kind: str) -> dict[float, Sample]:
    """Generate rows at each value of the code."""
    generator = trainer.generator.eval()
    assert isinstance(generator, InfoGanGenerator)
    torch.manual_seed(1)
    noise = torch.randn(ROWS, generator.noise_dim)
    width = (1, 0) if kind == "categorical" else (0, 1)
    made = {}
    for value in range(6) if kind == "categorical" else (-1.0, -0.5, 0.0, 0.5, 1.0):
        codes = Codes(torch.full((ROWS, width[0]), int(value)), torch.full((ROWS, width[1]), float(value)))
        with torch.no_grad():
            made[float(value)] = generator(generator.assemble(noise, codes))
    generator.train()
    return made


def _line(items: Items, kind: str, value: float, sample: Sample, shown: list[int]) -> str:
    cells = [_mode(items.encoding, sample.codes()[:, j], j) for j in shown]
    cells += [f"{number:+.2f}" for number in sample.numbers.mean(dim=0).tolist()]
    return f"| {kind} {value:g} | " + " | ".join(cells) + " |"


def _shares_of(items: Items, value: float, sample: Sample, shown: list[int]) -> Moved:
    codes, encoding = sample.codes(), items.encoding
    shares = {
        encoding.categorical[j].name: {
            _value(encoding, j, code): share
            for code, share in enumerate(_shares(codes[:, j], encoding.cardinalities[j]).tolist())
            if share > 0
        }
        for j in shown[:2]
    }
    place = next(i for i, name in enumerate(encoding.number_columns) if name.endswith(NUMBER))
    absent = next((i for i, name in enumerate(encoding.number_columns) if name.endswith(f"{NUMBER}_missing")), None)
    missing = sample.numbers[:, absent] > 0 if absent is not None else torch.zeros(len(codes), dtype=torch.bool)
    return Moved(value, shares, sample.numbers[~missing, place].numpy(), float(missing.float().mean()))


def _mode(encoding: TableEncoding, codes: Tensor, column: int) -> str:
    code = int(codes.mode().values)
    return f"{_value(encoding, column, code)} {(codes == code).float().mean().item():.0%}"


def _value(encoding: TableEncoding, column: int, code: int) -> str:
    return encoding.categorical[column].vocabulary[code - 3] if code >= 3 else "(missing)"


def ranged(values: Sequence[float], digits: int) -> str:
    """Return the mean, with the minimum and maximum in brackets."""
    return f"{mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main(steps: int, seeds: int) -> None:
    """Run everything and write docs/stability.md."""
    items = shop_items()
    remedies = compared(items, {n: ("gan", BAD | h) for n, h in REMEDIES.items()}, steps, seeds)
    networks = compared(items, {n: (n, QUICK) for n in ("gan", "dcgan", "infogan", "wgan_gp")}, 2 * steps, seeds)
    study = codes_studied(items, 2 * steps, seeds)
    (ROOT / "docs" / "stability.md").write_text(report(len(items.codes), steps, seeds, remedies, networks, study))


def report(rows: int, steps: int, seeds: int, remedies: list[str], networks: list[str], study: list[str]) -> str:
    """Return docs/stability.md."""
    bad = ", ".join(f"{k} {v:g}" for k, v in BAD.items())
    parts = [
        "# Stability of the pure GANs",
        f"Written by `python benchmarks/stability.py --steps {steps} --seeds {seeds}`. Complete Journey items "
        f"({rows:,}), batches of {BATCH}, {steps} generator steps (twice as many below the first table), "
        "mean over the seeds with the range in brackets. Diversity: entropy and spread of generated rows divided by "
        "those of real rows; 1 is best, 0 means that all rows are equal. Marginal distance: total variation distance "
        "of a column's categories (Kolmogorov-Smirnov for numbers), mean over the columns; 0 is best.",
        f"## A badly configured `gan` and the effect of each remedy\n({bad})",
        "\n".join(remedies),
        f"## The four networks, both learning rates {QUICK['learning_rate']:g}",
        "\n".join(networks),
        "## Effect of a code of `infogan`\nOne training with a single categorical code and one with a single "
        "continuous code, both with the first seed; the noise is the same for each value of the code. The table shows "
        "the most frequent category with its share, and mean encoded numbers in [-1, 1].",
        f"![Effect of a code of infogan]({PICTURE})",
        "\n".join(study),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150, help="generator steps, in epochs of 25")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    main(asked.steps, asked.seeds)
