"""Prove searches on a folder of tables in the contract's form, and on human ratings if it has any.

`make benchmark-search DATA=folder`: items.parquet (item_id, title and other texts), searches.parquet (query, item_id,
and optionally user_id, session_id, ts), and optionally ratings.parquet (query, item_id, rating), which states how well
items answer queries and is used for evaluation only. Writes benchmarks/results/search-NAME.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.clean.queries import normalised
from synthspark.cli import run_job
from synthspark.config import load
from synthspark.frames import of_each
from synthspark.ranking.bootstrap import interval, resampled_means
from synthspark.ranking.measures import SliceResult, best_of, measure, paired_difference, questions
from synthspark.ranking.split import WARM, Slice, Split
from synthspark.runs.context import Context, StageReport
from synthspark.runs.lake import Lake
from synthspark.runs.publication import Publication
from synthspark.search.features import joined
from synthspark.search.learn import (
    UNKNOWN,
    Learned,
    learn,
    nothing_alike,
    proposed,
    read_texts,
    virtual_answers,
    virtual_clicks,
    with_probability,
)
from synthspark.search.log import SearchLog
from synthspark.search.of_run import prove_search, published_log
from synthspark.search.rankers import TABLE_WEIGHT, by_both, by_words, word_scores
from synthspark.search.translation import with_field
from synthspark.session import session

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TEXTS = ("title", "name", "text")
RELEVANT = 2
"""Minimum rating of a relevant item."""
KS = [10, 20]


def main(data: Path, name: str, seeds: Sequence[int], overrides: Sequence[str], ratings_only: bool) -> None:
    """Prove searches, evaluate by ratings if there are any, and write both results."""
    lake = ROOT / "benchmarks" / "lake" / f"search-{name}"
    path = lake / "config.yaml"
    lake.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(configuration(data, lake)))
    words = [f"evaluate.seeds={list(seeds)}", *overrides]
    started = time.monotonic()
    run_job(path, "clean", "search", words)
    config = load(path, list(words))
    target = RESULTS / f"search-{name}.json"
    result: dict[str, Any] = json.loads(target.read_text()) if ratings_only and target.exists() else {}
    result |= {"data": name, "seeds": list(seeds)}
    with session("search", config.spark) as spark:
        context = Context(spark, Lake(spark, config.lake.root), config, "search")
        report = StageReport()
        with context.publication("evaluate") as staged:
            if not ratings_only:
                rows, found = prove_search(context, staged, report)
                result |= {"proof": found, "notes": report.notes, "protocols": [r.to_json() for r in rows]}
            if (data / "ratings.parquet").exists():
                result["ratings"] = judged_by_people(context, staged, data / "ratings.parquet")
    result["seconds"] = round(time.monotonic() - started)
    used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    result["cpu_seconds_of_python"] = round(sum(u.ru_utime + u.ru_stime for u in used))
    RESULTS.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=0) + "\n")


def configuration(data: Path, lake: Path) -> dict[str, Any]:
    """Return a configuration for a folder in the contract's form; its searches also serve as events."""
    columns = pq.read_schema(data / "searches.parquet").names
    texts = [c for c in pq.read_schema(data / "items.parquet").names if c in TEXTS]
    asked = {c: c for c in ("query", "item_id", "user_id", "session_id", "ts") if c in columns}
    events = {"user_id": asked.get("user_id", "query"), "item_id": "item_id", **({"ts": "ts"} if "ts" in asked else {})}
    searches = str(data / "searches.parquet")
    return {
        "lake": {"root": str(lake / "lake")},
        "source": {
            "events": {"path": searches, "columns": events, "event_type": "click"},
            "items": {"path": str(data / "items.parquet"), "columns": {"item_id": "item_id"},
                      "attributes": dict.fromkeys(texts, "text")},
            "searches": {"path": searches, "columns": asked},
        },
        "events": {"weights": {"click": 1}},
        "search": {"min_query_users": 1},
        "spark": {"spark.master": "local[2]", "spark.driver.memory": "8g"},
    }  # fmt: skip


def judged_by_people(context: Context, staged: Publication, path: Path) -> dict[str, Any]:
    """Return NDCG by human ratings of BM25, of translations, and of words combined with virtual clicks."""
    log = published_log(context, staged)
    query = of_each(normalised, F.col("query"), "string").alias("query")
    rated = context.spark.read.parquet(str(path)).select(query, F.col("item_id").cast("string"), "rating").distinct()
    log = with_queries(staged, log, [r["query"] for r in rated.select("query").distinct().collect()])
    texts = read_texts(context, staged, log)
    learned = learn(context, staged, texts, log.clicks.select("query_index", "item_index"), "ratings")
    named = rated.join(log.queries, on="query", how="inner").join(log.items, on="item_id", how="inner")
    every = staged.keep("rated", named.select(F.col("query_index").alias("user_index"), "item_index", "rating"))
    true = staged.keep("true", every.where(F.col("rating") >= RELEVANT).select("user_index", "item_index"))
    nobody = true.limit(0).withColumn("rating", F.lit(1.0))
    split = Split(nobody, true, true.select("user_index").distinct().withColumn("role", F.lit(WARM)),
                  log.items.select("item_index", F.lit(WARM).alias("role")))  # fmt: skip
    asked = questions(split, {"all": Slice((WARM,), (WARM,))})
    asked = asked._replace(truth=staged.keep("truth", asked.truth))
    told: dict[str, Any] = {"queries": true.select("user_index").distinct().count()}
    found = {"whole catalogue": rankings(staged, learned, log, split),
             "items that people rated": among_rated(staged, learned, split, every)}  # fmt: skip
    for what, rankers in found.items():
        lists = {n: measure(asked, staged.keep("lists", df), KS)["all"] for n, df in rankers}
        told[what] = {name: compared(lists["bm25"], result) for name, result in lists.items()}
    return told


def compared(before: SliceResult, after: SliceResult) -> dict[str, Any]:
    """Return the figures of ranker `after` and its gain over ranker `before`."""
    low, high = interval(resampled_means([after.sums], 1000, 0)[:, 0, KS.index(20)])
    gain = paired_difference([before.sums], [after.sums], KS, "ndcg_20", 1000, 0)
    figures = {f"ndcg_{k}": round(after.value(KS, f"ndcg_{k}"), 4) for k in KS}
    above = [round(x, 4) for x in (gain.product - gain.real, gain.low, gain.high)]
    return {**figures, "interval": [round(low, 4), round(high, 4)], "above bm25": above}


def among_rated(
    staged: Publication, learned: Learned, split: Split, rated: DataFrame
) -> Iterator[tuple[str, DataFrame]]:
    """Yield rankings of only the items that people rated for a query (Sakai 2007, doi:10.1145/1277741.1277756).

    Unrated items are not necessarily wrong, and most rated items had been found by words.
    """
    corpus, fitted = learned.texts.corpus, learned.fitted
    pairs = rated.select("user_index", "item_index")
    fields = {"bm25": with_field(corpus), "translation": learned.field()}
    for name, field in fields.items():
        scores = staged.keep(f"scores_{name}", word_scores(pairs, corpus, field))
        every = pairs.join(scores, on=["user_index", "item_index"], how="left")
        words = every.select("user_index", "item_index", F.coalesce("words", F.lit(0.0)).alias("score"))
        yield name, best_of(words, split, max(KS))
    asked = pairs.withColumnRenamed("user_index", "query_index")
    rows = joined(asked, fitted.queries, fitted.items, fitted.past.limit(0), nothing_alike(asked))
    chances = staged.keep("chances", with_probability(rows, learned.judges.get(UNKNOWN))).withColumnRenamed(
        "query_index", "user_index"
    )
    yield "judge", best_of(chances.withColumnRenamed("probability", "score"), split, max(KS))
    both = words.join(chances, on=["user_index", "item_index"], how="left")
    score = F.col("score") + TABLE_WEIGHT * F.coalesce("probability", F.lit(0.0))
    yield "words and table", best_of(both.select("user_index", "item_index", score.alias("score")), split, max(KS))


def with_queries(staged: Publication, log: SearchLog, texts: Sequence[str]) -> SearchLog:
    """Return the log with further queries that have no clicks."""
    known = {r["query"] for r in log.queries.where(F.col("query").isin(list(texts))).collect()}
    first = log.queries.count()
    new = [(first + n, text, 1) for n, text in enumerate(sorted(set(texts) - known))]
    rows = log.queries.sparkSession.createDataFrame(new, "query_index int, query string, users long")
    return log._replace(queries=staged.keep("queries", log.queries.unionByName(rows)))


def rankings(staged: Publication, learned: Learned, log: SearchLog, split: Split) -> Iterator[tuple[str, DataFrame]]:
    """Yield name and lists of each ranker."""
    corpus, clicks = learned.texts.corpus, learned.fitted.clicks
    yield "bm25", by_words(split, corpus, with_field(corpus), max(KS))
    translated = staged.keep("field", learned.field())
    yield "translation", by_words(split, corpus, translated, max(KS))
    new = log.items.where(F.col("text").isNotNull()).select("item_index").join(clicks, on="item_index", how="left_anti")
    found = proposed(staged, learned.texts, learned.fitted, staged.keep("new", new))
    virtual = staged.keep("virtual", virtual_clicks(learned, found, 8))
    field = staged.keep("whole_field", learned.field(virtual))
    words = staged.keep("words", by_words(split, corpus, field, max(KS)))
    yield "words with virtual clicks", words
    asked = split.users.select(F.col("user_index").alias("query_index"))
    asked = asked.join(clicks, on="query_index", how="left_anti")
    answers = virtual_answers(staged, learned, staged.keep("asked", asked), translated, 20)
    table = staged.keep("table", answers.unionByName(virtual)).withColumnsRenamed(
        {"query_index": "user_index", "probability": "score"}
    )
    yield "words and table", by_both(split, corpus, field, words, table, max(KS))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--name", help="name of the result; default: name of the folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--ratings-only", action="store_true", help="evaluate by ratings only and keep the proof")
    given = parser.parse_args()
    main(given.data.resolve(), given.name or given.data.name, given.seeds, given.overrides, given.ratings_only)
