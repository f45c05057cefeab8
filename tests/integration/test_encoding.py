from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

from synthspark.errors import ConfigError
from synthspark.features import encoding
from synthspark.features.encoding import EncodingLimits, TableEncoding
from synthspark.features.encoding.categorical import MISSING, RARE, UNKNOWN

pytestmark = pytest.mark.spark

KINDS = {
    "brand name": "categorical",
    "price": "numeric",
    "born": "datetime",
    "title": "text",
    "tags": "multi",
    "same": "categorical",
    "none": "numeric",
    "id": "categorical",
}
SCHEMA = (
    "`brand name` string, price double, born timestamp, title string, tags array<string>, same string, none double, "
    "id string"
)


def table(count: int = 40) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for i in range(count):
        brand = ["Ä", "B", None][i % 3] if i else "once"
        price = None if i % 10 == 9 else (1e9 if i == 5 else float(i))
        title = "Großer Käse" if i % 2 else None
        rows.append(
            (brand, price, datetime(2024, 1, 1 + i % 20), title, ["x", "y"] if i % 2 else ["x"], "s", None, f"{i}")
        )
    return rows


def test_a_table_goes_through_and_comes_back(spark: SparkSession) -> None:
    df = spark.createDataFrame(table(), SCHEMA).repartition(3)
    fitted = encoding.fit_rows(df, KINDS, EncodingLimits(), 8)
    assert fitted.left_out == {
        "title": "the network does not write texts",
        "same": "a single value ('s')",
        "none": "all null",
        "id": "no value occurs 3 times (an id by mistake?)",
    }
    assert fitted.code_columns == ["code_000_brand_name"]
    encoded = encoding.encode(df, fitted).toPandas()
    numbers = encoded[fitted.number_columns].to_numpy()
    assert np.isfinite(numbers).all()
    assert np.abs(numbers).max() <= 1
    codes = encoded[fitted.code_columns].to_numpy()
    assert set(codes[encoded["brand name"] == "once", 0]) == {RARE}
    assert set(codes[encoded["brand name"].isna(), 0]) == {MISSING}

    restored = TableEncoding.from_json(fitted.to_json())
    assert restored == fitted
    assert "once" not in str(fitted.to_json())
    back = encoding.decode(restored, codes, numbers)
    known = encoded["brand name"].isin(["Ä", "B"]).to_numpy()
    assert list(np.asarray(back["brand name"])[known]) == list(encoded["brand name"][known])
    price = np.asarray(back["price"])
    assert (np.isnan(price) == encoded["price"].isna().to_numpy()).all()
    usual = encoded["price"] < 1e9
    assert np.abs(price[usual] - encoded["price"][usual]).max() <= 2.0
    assert np.asarray(back["born"]).dtype == "datetime64[us]"
    assert back["tags"] == [sorted(t) for t in encoded["tags"]]
    assert back["title"] == [None] * len(encoded)


def test_texts_and_sets_are_bags_of_tokens(spark: SparkSession) -> None:
    titles = ["Red MUG", "red bowl, blue", "RED mug mug", "red bowl", None, "", "red gnu", "red mug bowl"]
    tags = [["A "], ["a", "b"], ["b"], None, [], ["a", "b"], ["C"], [" "]]
    rows = list(zip(range(8), titles, tags, strict=True))
    df = spark.createDataFrame(rows, "id int, `ti tle` string, tags array<string>").repartition(3)
    fitted = encoding.fit(df, {"ti tle": "text", "tags": "multi"}, EncodingLimits(min_category_count=2, max_tokens=2))
    assert TableEncoding.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted
    title, sets = fitted.bags
    assert title.vocabulary == ("red", "bowl", "mug")  # most frequent first, then in order
    assert title.weights == pytest.approx(np.log([8 / 6, 8 / 3, 8 / 3]), abs=1e-3)
    assert title.hashed_weight == pytest.approx(np.log(8), abs=1e-3)  # blue and gnu, once each
    assert title.columns == ("word_000_ti_tle_00", "word_001_ti_tle_01")
    assert sets.vocabulary == ("a", "b")
    assert "gnu" not in str(fitted.to_json())
    assert fitted.number_columns == [] and fitted.columns == list(title.columns + sets.columns)
    found = encoding.encode(df, fitted).orderBy("id").select(*fitted.columns).collect()
    ids = [list(row) for row in found]
    assert ids[0] == [3, 1, 1, 0]  # mug tells more than red
    assert ids[1][:2] == [2, 1]  # what is in the vocabulary comes before a hash: blue has no room
    assert ids[2][:2] == [3, 1] and ids[3][:2] == [2, 1]
    assert ids[4][:2] == ids[5][:2] == [0, 0]
    assert ids[6][0] == 1 and 3 < ids[6][1] < 1 << 24
    assert [row[2:] for row in ids] == [[1, 0], [1, 2], [2, 0], [0, 0], [0, 0], [1, 2], [ids[6][2], 0], [0, 0]]


def test_texts_that_tell_no_rows_apart_are_left_out(spark: SparkSession) -> None:
    rows = [(f"item{i}", "same words", None, "!!", "x" * 100_000 if i else "y " * 50_000) for i in range(20)]
    df = spark.createDataFrame(rows, "unique string, same string, none string, signs string, huge string")
    fitted = encoding.fit(df, dict.fromkeys(df.columns, "text"), EncodingLimits())
    assert fitted.left_out == {
        "unique": "no word or member is in 3 rows (an id by mistake?)",
        "same": "every row has the same words or members",
        "none": "all null, or without a word",
        "signs": "all null, or without a word",
    }
    assert [b.name for b in fitted.bags] == ["huge"] and len(fitted.bags[0].vocabulary[0]) == 64


def test_values_never_seen_are_unknown(spark: SparkSession) -> None:
    fitted = encoding.fit(spark.createDataFrame(table(), SCHEMA), {"brand name": "categorical"}, EncodingLimits())
    new = spark.createDataFrame([("new",), ("Ä",), ("once",)], "`brand name` string")
    column = fitted.code_columns[0]
    assert [r[column] for r in encoding.encode(new, fitted).collect()] == [UNKNOWN, 4, RARE]
    reloaded = TableEncoding.from_json(fitted.to_json())  # rare values are not saved: nobody can tell them any more
    assert [r[column] for r in encoding.encode(new, reloaded).collect()] == [UNKNOWN, 4, UNKNOWN]


def test_an_outlier_does_not_move_the_others_and_a_spike_keeps_its_value(spark: SparkSession) -> None:
    values = [0.0] * 500 + [float(i) for i in range(1, 500)] + [1e12]
    df = spark.createDataFrame([(v,) for v in values], "x double")
    fitted = encoding.fit(df, {"x": "numeric"}, EncodingLimits())
    encoded = encoding.encode(df, fitted).orderBy("x").toPandas()
    column = encoded[fitted.number_columns[0]].to_numpy()
    assert (np.diff(column) >= 0).all()
    assert 0.4 < column[750] < 0.6  # the 75th percentile is at +.5, however large the largest
    back = np.asarray(encoding.decode(fitted, np.zeros((1000, 0), int), column[:, None])["x"])
    assert (back[:500] == 0).all()
    assert np.abs(back[500:990] - encoded["x"][500:990]).max() <= 5


@pytest.fixture(scope="module")
def sentence_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that needs no download: the mean of one vector per word."""
    words = {"[UNK]": 0, "red": 1, "white": 2, "wine": 3, "paper": 4}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
    vectors = np.array([[0, 0, 0, 1], [1, 0, 0, 0], [0.8, 0.6, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], np.float32)
    folder = tmp_path_factory.mktemp("model")
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=vectors)]).save(str(folder))
    return str(folder)


def test_texts_by_a_sentence_encoder(spark: SparkSession, sentence_model: str) -> None:
    texts = ["Red wine", "white WINE", "paper", " ", None, "näïve", "red wine"]
    df = spark.createDataFrame([(i, t) for i, t in enumerate(texts)], "id int, title string").repartition(3)
    fitted = encoding.fit(df, {"title": "text"}, EncodingLimits(text_model=sentence_model))
    assert TableEncoding.from_json(fitted.to_json()) == fitted
    assert fitted.column_groups == [fitted.number_columns]
    assert [bag.vocabulary for bag in fitted.bags] == [("wine",)]  # beside the model, the only word that three have
    encoded = encoding.encode(df, fitted).toPandas().sort_values("id")[fitted.number_columns].to_numpy()
    assert encoded.shape == (7, 4)
    assert np.allclose((encoded**2).sum(1), [1, 1, 1, 0, 0, 1, 1], atol=1e-5)
    assert encoded[0] @ encoded[1] > 0.9 > 0.1 > abs(encoded[0] @ encoded[2])
    assert (encoded[0] == encoded[6]).all()
    assert encoding.decode(fitted, np.zeros((7, 0), int), encoded) == {"title": [None] * 7}


def test_a_sentence_encoder_that_is_not_there(spark: SparkSession, tmp_path: Path) -> None:
    df = spark.createDataFrame([("a",)], "title string")
    with pytest.raises(ConfigError, match="text_model.*nowhere.*cannot be loaded"):
        encoding.fit(df, {"title": "text"}, EncodingLimits(text_model=str(tmp_path / "nowhere")))


def test_dates_are_decoded_as_dates(spark: SparkSession) -> None:
    """All known values at midnight UTC: what lies between two of them is a date, too, within their range."""
    days = [datetime(1969, 12, 1) + timedelta(days=i * i % 97) for i in range(300)]
    rows = [(day if i % 9 else None, day + timedelta(seconds=i % 2), f"{i}") for i, day in enumerate(days)]
    df = spark.createDataFrame(rows, "born timestamp, seen timestamp, id string")
    fitted = encoding.fit(df, {"born": "datetime", "seen": "datetime"}, EncodingLimits())
    fitted = TableEncoding.from_json(json.loads(json.dumps(fitted.to_json())))
    numbers = np.random.default_rng(0).uniform(-1.2, 1.2, (2000, len(fitted.number_columns)))
    made = encoding.decode(fitted, np.zeros((2000, 0), int), numbers)
    known = np.asarray(made["born"])[~np.isnat(np.asarray(made["born"]))]
    assert 0 < len(known) < 2000
    assert (known == known.astype("datetime64[D]")).all()
    assert min(days) <= known.min().astype(datetime) and known.max().astype(datetime) <= max(days)
    seen = np.asarray(made["seen"])
    assert (seen != seen.astype("datetime64[D]")).any(), "one value that is no date, and they are instants"
    earlier = fitted.to_json()
    for entry in earlier["encoders"]:
        del entry["unit"]
    assert all(getattr(e, "unit", None) is None for e in TableEncoding.from_json(earlier).encoders)
