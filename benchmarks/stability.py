"""How stable the pure GANs are, on the Complete Journey items: writes docs/stability.md.

A badly set `gan`, then with each remedy alone (gradient clipping, another initialisation, more discriminator steps) and
with all of them; the four classic networks as they come; and what moves when a code of `infogan` moves. `--steps 600`
is a longer look.
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
MOST_VALUES = 400
"""A column of more categories has no mode worth showing."""
NUMBER = "price"
BAD: Hyper = {"learning_rate": 0.05, "discriminator_learning_rate": 1e-4, "gradient_clip": 1e9, "label_smoothing": 0.0}
QUICK: Hyper = {"learning_rate": 1e-3, "discriminator_learning_rate": 1e-3}
"""For few steps: the defaults are for whole trainings."""
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
    """The shop's items, encoded."""

    encoding: TableEncoding
    codes: Tensor
    numbers: Tensor

    def batches(self, seed: int) -> Callable[[], dict[str, Tensor]]:
        """Rows at random, BATCH of them per call."""
        draw = torch.Generator().manual_seed(seed)

        def batch() -> dict[str, Tensor]:
            rows = torch.randint(len(self.codes), (BATCH,), generator=draw)
            codes = zip(self.encoding.code_columns, self.codes[rows].T, strict=True)
            return {**dict(codes), **dict(zip(self.encoding.number_columns, self.numbers[rows].T, strict=True))}

        return batch


def shop_items() -> Items:
    """Fitted and encoded by Spark, as in the stage featurize."""
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
    """A trainer after `steps` generator steps, and what the watch says of them in epochs of EPOCH steps."""
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
    """Diversity, and the distance of the marginals: total variation of codes, Kolmogorov-Smirnov of numbers."""
    generator = trainer.generator.eval()
    with torch.no_grad():
        sample = generator(generator.latent(ROWS))
    return compared_rows(items, sample.codes(), sample.numbers.nan_to_num())


def compared_rows(items: Items, codes: Tensor, numbers: Tensor) -> tuple[float, float]:
    """The same of any rows."""
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
    """A table row per run, mean and range over the seeds."""
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
    """Two tables of the first seed, drawn as docs/images/infogan_codes.png too, and the mutual information of all.

    A row per value of a code, with the same noise under each: what is generated. One code per training.
    """
    shown = [j for j, k in enumerate(items.encoding.cardinalities) if k < MOST_VALUES]
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
    held = f"log 6 = {math.log(6):.2f} is all that the categorical code holds"
    said = ", ".join(f"{kind} {ranged(found, 2)}" for kind, found in bounds.items())
    return [*lines, "", f"Mutual information with the code, at least, in nats, mean over {EPOCH} batches and over the "
            f"seeds: {said}; {held}."]  # fmt: skip


def _moved(trainer: GanTrainer, kind: str) -> dict[float, Sample]:
    """What the generator makes at each value of its code."""
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
    """The mean, and in brackets the least and the largest."""
    return f"{mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main(steps: int, seeds: int) -> None:
    """Run everything and write docs/stability.md."""
    items = shop_items()
    remedies = compared(items, {n: ("gan", BAD | h) for n, h in REMEDIES.items()}, steps, seeds)
    networks = compared(items, {n: (n, QUICK) for n in ("gan", "dcgan", "infogan", "wgan_gp")}, 2 * steps, seeds)
    study = codes_studied(items, 2 * steps, seeds)
    (ROOT / "docs" / "stability.md").write_text(report(len(items.codes), steps, seeds, remedies, networks, study))


def report(rows: int, steps: int, seeds: int, remedies: list[str], networks: list[str], study: list[str]) -> str:
    """docs/stability.md."""
    bad = ", ".join(f"{k} {v:g}" for k, v in BAD.items())
    parts = [
        "# Stability of the pure GANs",
        f"Written by `python benchmarks/stability.py --steps {steps} --seeds {seeds}`. Complete Journey items "
        f"({rows:,}), batches of {BATCH}, {steps} generator steps (twice as many below the first table), "
        "mean over the seeds and in brackets the range. Diversity: entropy and spread of the rows, as a share of the "
        "real ones'; 1 is right, 0 is one row for all. Marginal distance: total variation of a column's categories "
        "(Kolmogorov-Smirnov for numbers), averaged; 0 is right.",
        f"## A badly set `gan`, and what each remedy changes\n({bad})",
        "\n".join(remedies),
        f"## The four networks, both learning rates {QUICK['learning_rate']:g}",
        "\n".join(networks),
        "## What moves when a code of `infogan` moves\nOne training with a single categorical code, one with a single "
        "continuous one; the same noise under each of its values. The most frequent category with its share; numbers "
        "as encoded, in [-1, 1]. Both of the first seed.",
        f"![What a code of infogan moves]({PICTURE})",
        "\n".join(study),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150, help="generator steps, in epochs of 25")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    main(asked.steps, asked.seeds)
