"""A planted shop with a search log: what is clicked goes by words, by translated words, and by nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

KINDS = ("kettle", "toaster", "blender", "mixer", "grill", "juicer", "freezer", "heater", "fan", "scale")
SYNONYMS = {"kettle": "teapot", "fan": "cooler", "scale": "balance"}
"""What people type for words that no title has."""
COLOURS = ("red", "blue", "black", "white", "green", "silver")
MAKERS = ("acme", "bolt", "cobra", "delta", "ember")
SIZES = ("1l", "2l", "3l", "500w", "900w", "1200w")


def write_shop(folder: Path, clicks: int = 2500, seed: int = 0) -> dict[str, Any]:
    """Items and searches as Parquet, and the configuration that reads them; every seventh item was never clicked."""
    rng = np.random.default_rng(seed)
    items = [(f"{maker}-{kind}-{colour}-{size}", f"{maker.title()} {kind} {colour}, {size}", maker)
             for maker in MAKERS for kind in KINDS for colour in COLOURS
             for size in rng.choice(SIZES, 2, replace=False)]  # fmt: skip
    table = pd.DataFrame(items, columns=["sku", "title", "maker"])
    start, rows = datetime(2024, 1, 1, tzinfo=timezone.utc), []
    warm = [i for i in range(len(items)) if i % 7]
    for number in range(clicks):
        maker, kind, colour, size = items[warm[rng.integers(len(warm))]][0].split("-")
        word = SYNONYMS.get(kind, kind)
        typed = [[colour, word], [maker, word], [word, size], [maker, colour, word]][rng.integers(4)]
        found = [i for i in warm if all(t in items[i][0].split("-") for t in typed if t not in SYNONYMS.values())
                 and kind in items[i][0]]  # fmt: skip
        chosen = items[found[rng.integers(len(found))]][0]
        text = " ".join(typed).title() if number % 5 else "  ".join(typed)
        rows.append((text, chosen, f"u{rng.integers(150)}", start + timedelta(minutes=37 * number)))
    rows += [("Purple Teapot", None, f"u{n}", start + timedelta(days=n)) for n in range(8)]
    searches = pd.DataFrame(rows, columns=["q", "sku", "who", "at"]).astype({"at": "datetime64[us, UTC]"})
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / "items.parquet")
    searches.to_parquet(folder / "searches.parquet")
    searches.dropna().drop(columns="q").to_parquet(folder / "events.parquet")
    events = {"path": str(folder / "events.parquet"), "columns": {"user_id": "who", "item_id": "sku", "ts": "at"},
              "event_type": "click"}  # fmt: skip
    asked = {"path": str(folder / "searches.parquet"),
             "columns": {"query": "q", "item_id": "sku", "user_id": "who", "ts": "at"}}  # fmt: skip
    declared = {"path": str(folder / "items.parquet"), "columns": {"item_id": "sku"},
                "attributes": {"title": "text", "maker": "categorical"}}  # fmt: skip
    return {
        "lake": {"root": str(folder / "lake")},
        "source": {"events": events, "items": declared, "searches": asked},
        "events": {"weights": {"click": 1}},
        "features": {"min_item_users": 2, "min_user_items": 2},
        "train": {"epochs": 1, "profile_items": {"epochs": 1}, "texts": {"epochs": 1}},
        "synthesize": {"users": 0, "items": 0, "budget": 0.1, "weight": 0.5},
        "judge": {"enabled": False},
        "evaluate": {"arms": ["real"], "profiles": False, "references": False, "als_seeds": 1},
        "search": {"min_query_users": 2, "epochs": 3, "batch_size": 256, "controls": ["permuted"]},
        "spark": {"spark.master": "local[2]"},
    }
