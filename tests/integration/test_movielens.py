"""The real MovieLens 100k, as `make data/ml-100k/movies.parquet` writes it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

DATA = Path(__file__).parents[2] / "data" / "ml-100k"

pytestmark = pytest.mark.skipif(
    not (DATA / "movies.parquet").exists(), reason="MovieLens is not there: make data/ml-100k/movies.parquet"
)


def test_movielens_is_whole() -> None:
    ratings, users, movies = (pd.read_parquet(DATA / f"{n}.parquet") for n in ("ratings", "users", "movies"))
    assert (len(users), len(movies), len(ratings)) == (943, 1682, 100_000)
    assert users["user_id"].is_unique
    assert movies["movie_id"].is_unique
    assert not ratings.duplicated(["user_id", "movie_id"]).any()
    assert set(ratings["user_id"]) == set(users["user_id"])
    assert set(ratings["movie_id"]) == set(movies["movie_id"])
    assert ratings.groupby("user_id").size().min() == 20  # GroupLens left out whoever rated fewer
    assert ratings["rating"].value_counts().sort_index().to_list() == [6110, 11370, 27145, 34174, 21201]


def test_movielens_says_what_is_known_of_users_and_movies() -> None:
    users, movies = pd.read_parquet(DATA / "users.parquet"), pd.read_parquet(DATA / "movies.parquet")
    assert users.notna().all(axis=None)
    assert users["gender"].value_counts().to_dict() == {"M": 670, "F": 273}
    assert users["occupation"].nunique() == 21
    assert movies.isna().sum().to_dict() == {"movie_id": 0, "title": 1, "release_year": 2, "genres": 2}
    assert movies["release_year"].dropna().between(1922, 1998).all()
    assert len({genre for genres in movies["genres"].dropna() for genre in genres.split("|")}) == 18
