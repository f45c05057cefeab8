"""Stage featurize: encodings, features, interactions, factors, and the feeds of training."""

from __future__ import annotations

import math
from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.errors import SourceError
from synthspark.features import encoding
from synthspark.features.encoding import EncodingLimits, TableEncoding
from synthspark.features.feeds import behaviour_feed, factor_table, spread
from synthspark.features.interactions import behaviour_features, category_shares, interactions, pair_statistics
from synthspark.indexing import with_index
from synthspark.lake import Publication
from synthspark.pipeline.audience import ALS_SPACE, ITEM_SPACE, open_pairs
from synthspark.pipeline.context import Context, StageReport, als_blocks, side_name
from synthspark.pipeline.profiles import split_off, with_tokens
from synthspark.quantiles import median
from synthspark.recommend import AlsSettings, fit_als, rating

ROW_GROUP_BYTES = 16 * 1024 * 1024
CATEGORY_SHARES = 8
Write = Callable[..., object]
"""`Publication.write` or `scratch`."""


def featurize(context: Context) -> StageReport:
    """Read clean, publish features, factors and feeds."""
    config, report = context.config, StageReport()
    with context.publication("featurize") as staged:
        events = context.read("clean/events")
        pairs = staged.keep("pairs", pair_statistics(events, config.events.weights, config.events.half_life_days))
        report.rows_in = context.record("clean")["rows"]["clean/events"]
        unit = median(pairs, "weight")
        if unit is None:
            raise SourceError("table clean/events: no event is left to learn from; see clean/rejects for the reasons")
        report.details["unit_weight"] = unit
        staged.write("features/interactions", interactions(pairs), feed=True)
        tables = {key: _features(context, staged, pairs, key, report) for key in ("item_id", "user_id")}
        _learnable(context, staged, pairs, tables["user_id"], tables["item_id"], unit, report)
        report.rows_out = staged.rows["features/interactions"]
        staged.details.update(report.to_json())
    return report


def limits(context: Context) -> EncodingLimits:
    """The bounds of encodings that the configuration sets."""
    f = context.config.features
    return EncodingLimits(f.min_category_count, f.max_categories, f.max_multi_values, f.text_buckets, f.text_model)


def attribute_kinds(context: Context, key: str) -> dict[str, str]:
    """The declared attributes of a side."""
    source = context.config.source.items if key == "item_id" else context.config.source.users
    return {name: str(kind) for name, kind in source.attributes.items()} if source is not None else {}


def num_files(context: Context, rows: int, columns: int) -> int:
    """Files (of one row group each) of a feed: about 16 MB each, and as many for one process as for the other."""
    processes = context.config.train.processes
    least = max(4, 2 * processes, math.ceil(rows * columns * 4 / ROW_GROUP_BYTES))
    return processes * math.ceil(least / processes)


def als_settings(context: Context) -> AlsSettings:
    """ALS as configured: the same for every arm and stage."""
    r = context.config.recommend
    return AlsSettings(r.rank, r.regularization, r.alpha, r.iterations, context.config.seed)


def space_settings(context: Context, space: str) -> AlsSettings:
    """ALS for a preference space. From that of items nobody is recommended anything, so it may fit closer."""
    if space == ALS_SPACE:
        return als_settings(context)
    f = context.config.features
    iterations = context.config.recommend.iterations
    return AlsSettings(f.factor_rank, f.factor_regularization, f.factor_alpha, iterations, context.config.seed)


def write_feed(context: Context, write: Write, name: str, feed: DataFrame, rows: int) -> None:
    """Stage a feed of about `rows` rows by `write`, shuffled, in row groups that can be sharded."""
    shuffled = spread(feed, num_files(context, rows, len(feed.columns)), rows, context.config.seed)
    write(name, shuffled, feed=True, row_group_bytes=ROW_GROUP_BYTES)


def write_space(context: Context, write: Write, prefix: str, space: str, pairs: DataFrame) -> None:
    """Fit a preference space on `pairs` (`user_index`, `item_index`, `rating`) and stage both its tables by `write`."""
    settings, name = space_settings(context, space), f"{prefix}{space}"
    factors = fit_als(pairs, settings, als_blocks(context))
    for key, vectors in (("item_id", factors.items), ("user_id", factors.users)):
        index = f"{key.removesuffix('_id')}_index"
        breadth = pairs.groupBy(index).agg(F.count(F.lit(1)).alias("breadth"))
        write(f"{name}/{side_name(key)}", factor_table(vectors, breadth, index, settings.rank),
              feed=True)  # fmt: skip


def write_behaviour_feed(
    context: Context, staged: Publication, write: Write, key: str, prefix: str, space: str,
    pairs: DataFrame, encoded: DataFrame,
) -> None:  # fmt: skip
    """Stage by `write` the feed of one side's behaviour generator, in a space that is staged.

    pairs: `user_index`, `item_index` of that space; encoded: the side's index and encoded columns.
    """
    f, seed = context.config.features, context.config.seed
    own = staged.read(f"{prefix}{space}/{side_name(key)}")
    index = f"{key.removesuffix('_id')}_index"
    feed = behaviour_feed(pairs, encoded, own, index, f.positives, f.max_feed_rows, seed)
    write_feed(context, write, f"{prefix}feeds/behaviour_{side_name(key)}", feed, own.count() * f.max_feed_rows)


def _features(
    context: Context, staged: Publication, pairs: DataFrame, key: str, report: StageReport
) -> tuple[DataFrame, TableEncoding]:
    """Stage features of one side and its encoding; returns the staged table."""
    side, kinds = side_name(key), attribute_kinds(context, key)
    seen = pairs.select(key).distinct()
    if context.has(f"clean/{side}"):
        declared = context.read(f"clean/{side}")
        entities = declared.join(seen, on=key, how="full")
    else:
        declared, entities = seen, seen
    fitted = encoding.fit(declared, kinds, limits(context))
    for name, why in fitted.left_out.items():
        report.notes.append(f"attribute {name!r} of {side} is left out: {why}")
    if not fitted.encoders:
        report.notes.append(f"{side} have no attribute to learn from: no new {side}, and none for cold {side}")
    behaviour = behaviour_features(pairs, key)
    if key == "user_id" and staged.rows.get("features/items"):
        behaviour = _with_category_shares(staged, behaviour, pairs)
    filled = [F.coalesce(c, F.lit(0)).alias(c) if t == "int" else F.coalesce(c, F.lit(0.0).cast(t)).alias(c)
              for c, t in behaviour.dtypes if c != key]  # fmt: skip
    encoded = encoding.encode(with_index(entities, key, f"{key.removesuffix('_id')}_index"), fitted)
    table = encoded.join(behaviour, on=key, how="left").select(
        key, f"{key.removesuffix('_id')}_index", *fitted.code_columns, *fitted.number_columns, *filled
    )
    write_feed(context, staged.write, f"features/{side}", table, max(_declared_rows(context, side), seen.count()))
    staged.write_json(f"features/encoding_{side}/encoding.json", fitted.to_json())
    report.tables.setdefault("features", {})[side] = staged.rows[f"features/{side}"]
    if fitted.encoders:  # a profile is learned from those who have one, not from ids seen in events only
        known = staged.read(f"features/{side}").join(declared.select(key), on=key, how="left_semi")
        encoded_columns = known.select(key, *fitted.code_columns, *fitted.number_columns)
        tokens = with_tokens(context, staged, declared, key, kinds, report)
        profiles = encoded_columns.join(tokens, on=key, how="inner")
        count = _declared_rows(context, side)
        for name, part in zip(("", "_validation"), split_off(profiles, key, count, context.config.seed), strict=True):
            if part is not None:
                write_feed(context, staged.write, f"feeds/profile_{side}{name}", part.drop(key), count)
    return staged.read(f"features/{side}"), fitted


def _declared_rows(context: Context, side: str) -> int:
    """About how many rows a side has; exact only matters for the number of files."""
    return int(context.record("clean")["rows"].get(f"clean/{side}", 0))


def _with_category_shares(staged: Publication, behaviour: DataFrame, pairs: DataFrame) -> DataFrame:
    items = staged.read("features/items")
    codes = [c for c in items.columns if c.startswith("code_000")]
    if not codes:
        return behaviour
    shares = category_shares(pairs, items, codes[0], encoding.FIRST, CATEGORY_SHARES)
    return behaviour.join(shares, on="user_id", how="left")


def _learnable(
    context: Context,
    staged: Publication,
    pairs: DataFrame,
    users: tuple[DataFrame, TableEncoding],
    items: tuple[DataFrame, TableEncoding],
    unit: float,
    report: StageReport,
) -> None:
    """Stage the warm entities' factors and the behaviour feeds."""
    f = context.config.features
    warm_users = users[0].where(F.col("breadth") >= f.min_user_items).select("user_id", "user_index")
    warm_items = items[0].where(F.col("breadth") >= f.min_item_users).select("item_id", "item_index")
    warm = pairs.join(warm_users, on="user_id", how="inner").join(warm_items, on="item_id", how="inner")
    warm = staged.keep("warm", warm.select("user_index", "item_index", rating(F.col("weight"), unit).alias("rating")))
    count = warm.count()
    if count == 0:
        raise SourceError(
            f"table clean/events: no item has {f.min_item_users} users who have {f.min_user_items} items each; "
            "lower features.min_item_users and features.min_user_items, or bring more events"
        )
    report.tables["features"]["warm interactions"] = count
    if not open_pairs(context, warm).take(1):
        raise SourceError(
            f"table clean/events: all {count} warm interactions are of items that the judge's fold took; set "
            "judge.enabled to false, or bring more events"
        )
    spaces = {ALS_SPACE: warm, ITEM_SPACE: open_pairs(context, warm)}
    for name, pairs_of in spaces.items():
        write_space(context, staged.write, "", name, pairs_of)
    for key, (table, fitted), space in (("item_id", items, ITEM_SPACE), ("user_id", users, ALS_SPACE)):
        if fitted.encoders or key == "user_id":  # what users did may say enough of them
            index = f"{key.removesuffix('_id')}_index"
            encoded = table.select(index, *fitted.code_columns, *fitted.number_columns)
            write_behaviour_feed(context, staged, staged.write, key, "", space, spaces[space], encoded)
