"""Evaluate `auto` on variants of the available shops: the promise of its trial and the outcome.

`make benchmark-field` (hours; `--variant` and `--config` select some) writes docs/field.md and
benchmarks/results/field.json. Every shop is cleaned once, its tables are changed according to VARIANTS, and stage
evaluate compares the product, with its placing chosen by trial, to every simple arm and ranker. `--placings` evaluates
each placing of a grid, too; the selection rule is tuned with it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from field_report import report
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synthspark.cli import run_job
from synthspark.coldstart.tuning import BUDGETS, WEIGHTS
from synthspark.indexing import uniform
from synthspark.proof.protocols import PROTOCOLS
from synthspark.runs.lake import Lake
from synthspark.runs.tables import EVENTS, clean
from synthspark.session import session
from synthspark.sides import ITEMS, USERS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "field.json"
CONFIGS = (ROOT / "conf" / "demo.yaml", ROOT / "conf" / "ml-100k.yaml")
ARMS = "real, real+synthetic, permuted, knn, ridge, attribute_users"
FIXED = ("synthesize.budget=auto", "synthesize.weight=auto", f"evaluate.arms=[{ARMS}]", "evaluate.references=true",
         "evaluate.profiles=false", "evaluate.als_seeds=1")  # fmt: skip
GRID = {f"budget {b:g} weight {w:g}": {"budget": b, "weight": w}
        for b, w in product(BUDGETS, WEIGHTS) if w == WEIGHTS[0] or b == 0.1}  # fmt: skip
CLONES = 10
EVENT_COLUMNS = ("user_id", "item_id", "event_type", "ts", "value", "price")


class Shop(NamedTuple):
    """Clean tables."""

    events: DataFrame
    items: DataFrame
    users: DataFrame
    attributes: Mapping[str, Any]
    """Declared attributes of the items: name -> kind."""


def main(
    configs: Sequence[Path], variants: Sequence[str], protocols: Sequence[str], seeds: Sequence[int], grid: bool
) -> None:  # fmt: skip
    """Run the given shops and variants and keep existing results of others."""
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for path, variant in product(configs, variants):
        folder = ROOT / "benchmarks" / "lake" / "field" / path.stem / variant.replace(" ", "_")
        written = write_variant(path, variant, folder)
        asked = [p for p in protocols if p != "time" or variant != "no time"]
        words = [*FIXED, f"evaluate.protocols={json.dumps(asked)}", f"evaluate.seeds={list(seeds)}"]
        words += [f"evaluate.ablations={json.dumps(GRID)}"] if grid else []
        for stage in ("clean", "featurize", "evaluate"):
            run_job(written, stage, "field", words)
        record = json.loads(next((folder / "lake").rglob("evaluate.json")).read_text())
        about = {"shop": path.stem, "variant": variant, "measured": date.today().isoformat()}
        kept = [r for r in rows if (r["shop"], r["variant"]) != (path.stem, variant) or r["protocol"] not in asked]
        rows = kept + [{**about, **row} for row in outcomes(record)]
        RESULTS.write_text(json.dumps(rows, indent=0) + "\n")
        (ROOT / "docs" / "field.md").write_text(report(rows))


def outcomes(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return per protocol and seed the chosen placing, its trial, and NDCG@20 of every arm and slice."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for row in record["details"]["protocols"]:
        if (row["metric"], row["k"]) == ("ndcg", 20):
            of = found.setdefault((row["protocol"], row["seed"]), {"protocol": row["protocol"], "seed": row["seed"]})
            of.setdefault("arms", {}).setdefault(row["arm"], {})[row["slice"]] = [
                round(row[x], 5) for x in ("value", "ci_low", "ci_high")
            ]
    for (protocol, seed), of in found.items():
        where = f"{protocol}, seed {seed}"
        of["sizes"] = record["tables"].get(where, {})
        of["placing"] = record["details"].get("placings", {}).get(where)
    return list(found.values())


def write_variant(path: Path, variant: str, folder: Path) -> Path:
    """Write the tables of a shop's variant and their configuration; return the path of the latter."""
    root = folder.parent / "_source"
    if not root.exists():
        run_job(path, "clean", "field", [f"lake.root={root}"])
    words = yaml.safe_load(path.read_text())
    attributes = words["source"]["items"].get("attributes", {})
    with session("field", words.get("spark", {})) as spark:
        lake = Lake(spark, str(root))
        events, items, users = (lake.read(table, "field") for table in (EVENTS, clean(ITEMS), clean(USERS)))
        shop = VARIANTS[variant](Shop(events.select(*EVENT_COLUMNS), items, users, attributes))
        for name in ("events", "items", "users"):
            getattr(shop, name).write.mode("overwrite").parquet(str(folder / name))
        columns = {name: getattr(shop, name).columns for name in ("events", "items", "users")}
    written = folder / "config.yaml"
    written.write_text(yaml.safe_dump(_config(words, columns, shop.attributes, folder), sort_keys=False))
    return written


def _config(
    words: dict[str, Any], columns: Mapping[str, Sequence[str]], attributes: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Return the shop's configuration with clean tables as sources and without cleaning rules."""
    before = words["source"]
    events = {"path": str(folder / "events"), "columns": {c: c for c in columns["events"]}, "timezone": "UTC"}
    if "event_type" in before["events"]:
        events["event_type"] = before["events"]["event_type"]
        del events["columns"]["event_type"]
    source = {"events": events, "items": {"path": str(folder / "items"), "columns": {"item_id": "item_id"}}}
    if attributes:
        source["items"]["attributes"] = dict(attributes)
    if before.get("users", {}).get("attributes"):
        source["users"] = {"path": str(folder / "users"), "columns": {"user_id": "user_id"},
                           "attributes": before["users"]["attributes"], "min_known_ids": 0}  # fmt: skip
    return {**words, "lake": {"root": str(folder / "lake")}, "source": source}


def _drawn(share: float, *keys: str) -> Column:
    return uniform(F.lit("field"), *keys) < share


def whole(shop: Shop) -> Shop:
    """Return the shop unchanged."""
    return shop


def no_attributes(shop: Shop) -> Shop:
    """Drop all attributes of the items."""
    return shop._replace(items=shop.items.select("item_id"), attributes={})


def half_attributes(shop: Shop) -> Shop:
    """Keep every second attribute of the items, in order of their names."""
    kept = sorted(shop.attributes)[::2]
    return shop._replace(items=shop.items.select("item_id", *kept), attributes={k: shop.attributes[k] for k in kept})


def half_permuted(shop: Shop) -> Shop:
    """Permute the attributes among a random half of the items."""
    order = Window.partitionBy("_drawn").orderBy(F.xxhash64("item_id"), "item_id")
    turned = Window.partitionBy("_drawn").orderBy(F.xxhash64(F.lit(1), "item_id"), "item_id")
    items = shop.items.withColumn("_drawn", _drawn(0.5, "item_id"))
    ids = items.select("_drawn", "item_id", F.row_number().over(order).alias("_place"))
    rest = items.withColumn("_place", F.row_number().over(turned)).drop("item_id")
    mixed = ids.where("_drawn").join(rest, on=["_drawn", "_place"], how="inner").select(shop.items.columns)
    return shop._replace(items=mixed.unionByName(items.where("not _drawn").select(shop.items.columns)))


def tenth_of_users(shop: Shop) -> Shop:
    """Keep a random tenth of the users with all their events."""
    return shop._replace(events=shop.events.where(_drawn(0.1, "user_id")))


def tenth_of_events(shop: Shop) -> Shop:
    """Keep a random tenth of the events."""
    return shop._replace(events=shop.events.where(_drawn(0.1, "user_id", "item_id", "ts")))


def no_time(shop: Shop) -> Shop:
    """Drop the times of the events."""
    return shop._replace(events=shop.events.drop("ts"))


def ten_times_as_sparse(shop: Shop) -> Shop:
    """Replace each item with events by CLONES items of the same attributes and divide its events among them."""
    bought = shop.events.select("item_id").distinct()
    numbers = F.sequence(F.lit(0), F.lit(CLONES - 1))
    ids = F.explode(F.transform(numbers, lambda n: F.concat_ws("#", "item_id", n)))
    clones = shop.items.join(bought, on="item_id", how="left_semi").withColumn("item_id", ids)
    clone = F.floor(uniform(F.lit("clone"), "user_id", "item_id") * CLONES)
    return shop._replace(events=shop.events.withColumn("item_id", F.concat_ws("#", "item_id", clone)), items=clones)


def half_never_seen(shop: Shop) -> Shop:
    """Drop all events of a random half of the users."""
    return shop._replace(events=shop.events.where(~_drawn(0.5, "user_id")))


VARIANTS: dict[str, Callable[[Shop], Shop]] = {
    "whole": whole,
    "no attributes": no_attributes,
    "half of the attributes": half_attributes,
    "half permuted": half_permuted,
    "a tenth of the users": tenth_of_users,
    "a tenth of the events": tenth_of_events,
    "no time": no_time,
    "ten times as sparse": ten_times_as_sparse,
    "half never seen": half_never_seen,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, nargs="+", default=CONFIGS)
    parser.add_argument("--variant", choices=VARIANTS, nargs="+", default=list(VARIANTS))
    parser.add_argument("--protocol", choices=PROTOCOLS, nargs="+", default=["cold_item", "time"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--placings", action="store_true")
    given = parser.parse_args()
    main(given.config, given.variant, given.protocol, given.seeds, given.placings)
