"""Simulated search log for a catalogue without one. Call its figures *simulated* wherever they appear.

Model of a query: an item is sampled by popularity (Zipf, exponent .8). A user searches for it by 2 + Poisson(.8) words
of its title, in the order of the title. Only words that at least five titles contain are used; they are sampled in
proportion to the fourth root of their number of titles. With probability .25 the query begins with the brand. Each word
has a typing error with probability .03 (a letter omitted or doubled, or two exchanged), and a word of SYNONYMS is
replaced by its synonym with probability .5. The user clicks the item.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

WORD = re.compile(r"[^\W_]+(?:[-./][^\W_]+)*")
MIN_TITLES = 5
SYNONYMS = {"notebook": "laptop", "television": "tv", "earphones": "earbuds", "headset": "headphones", "mice": "mouse",
            "monitor": "screen", "multifunctional": "all-in-one", "smartphone": "mobile", "freestanding": "standalone",
            "cartridge": "ink", "flash": "stick", "router": "wifi"}  # fmt: skip


def main(items: Path, out: Path, clicks: int, seed: int) -> None:
    """Write items.parquet and searches.parquet below `out`."""
    table = pd.read_parquet(items).rename(columns={"product_id": "item_id"})
    out.mkdir(parents=True, exist_ok=True)
    table.to_parquet(out / "items.parquet")
    simulated(table, clicks, seed).to_parquet(out / "searches.parquet")


def simulated(table: pd.DataFrame, clicks: int, seed: int) -> pd.DataFrame:
    """Return `clicks` simulated clicks: query, item_id, user_id, ts."""
    rng = np.random.default_rng(seed)
    titles = [WORD.findall(title) for title in table["title"].fillna("")]
    counts = Counter(word.lower() for title in titles for word in set(title))
    popularity = (1 / np.arange(1, len(table) + 1) ** 0.8)[rng.permutation(len(table))]
    chosen = rng.choice(len(table), clicks, p=popularity / popularity.sum())
    brands = table["brand"] if "brand" in table else pd.Series([None] * len(table))
    rows = []
    for place in chosen:
        words = [word for word in titles[place] if counts[word.lower()] >= MIN_TITLES]
        if not words:
            continue
        size = min(len(words), 2 + rng.poisson(0.8))
        chance = np.array([counts[word.lower()] ** 0.25 for word in words])
        typed = [words[k] for k in sorted(rng.choice(len(words), size, replace=False, p=chance / chance.sum()))]
        if brands.iloc[place] and rng.random() < 0.25 and brands.iloc[place] not in typed:
            typed = [brands.iloc[place], *typed]
        typed = [SYNONYMS.get(word.lower(), word) if rng.random() < 0.5 else word for word in typed]
        typed = [mistyped(word, rng) if rng.random() < 0.03 else word for word in typed]
        rows.append((" ".join(typed).lower(), table["item_id"].iloc[place], f"u{rng.integers(8000)}"))
    log = pd.DataFrame(rows, columns=["query", "item_id", "user_id"])
    seconds = pd.to_timedelta(rng.integers(0, 365 * 86_400, len(log)), unit="s")
    return log.assign(ts=(pd.Timestamp("2024-01-01", tz="UTC") + seconds).astype("datetime64[us, UTC]"))


def mistyped(word: str, rng: np.random.Generator) -> str:
    """Return the word with one typing error inside; words of fewer than four letters are unchanged."""
    if len(word) < 4:
        return word
    k, kind = rng.integers(1, len(word) - 1), rng.integers(3)
    if kind == 0:
        return word[:k] + word[k + 1 :]
    return word[:k] + word[k + 1] + word[k] + word[k + 2 :] if kind == 1 else word[: k + 1] + word[k:]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("items", type=Path, help="Parquet with item_id (or product_id), title and optionally brand")
    parser.add_argument("out", type=Path)
    parser.add_argument("--clicks", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    main(given.items, given.out, given.clicks, given.seed)
