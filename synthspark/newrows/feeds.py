"""What the generator of new rows learns from: tokens, and rows to stop by."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synthspark.config import ProfileNetwork
from synthspark.features import encoding
from synthspark.features.encoding import TableEncoding, multi
from synthspark.features.published import limits, read_encoding
from synthspark.profiles import TokenEncoding, fitting, hierarchy
from synthspark.profiles.fitting import TokenLimits
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.runs.tables import encoding_folder
from synthspark.sides import Side

AUTOREGRESSIVE, ROWS = "autoregressive", "rows"
VALIDATION_SHARE, VALIDATION_ROWS, LEAST_VALIDATED = 0.1, 10_000, 100
"""Rows that the generator does not learn from, at most; of a table smaller than the last there are none."""


def configured(context: Context, side: Side) -> ProfileNetwork:
    """The configuration of a side's profile generator."""
    network: ProfileNetwork = getattr(context.config.train, f"profile_{side.name}")
    return network


def written_kinds(context: Context, declared: DataFrame, side: Side) -> dict[str, str]:
    """The attributes that a writer makes: texts, and sets with more values than tokens may have."""
    if not context.config.train.texts.enabled:
        return {}
    kinds, most = context.config.source.attributes(side), context.config.features.max_multi_values
    least = configured(context, side).min_category_count
    sets = multi.analyze(declared, [name for name, kind in kinds.items() if kind == "multi"], most + 1)
    many = {name for name, found in sets.items() if sum(n >= least for n in found.counts.values()) > most}
    return {name: kind for name, kind in kinds.items() if kind == "text" or name in many}


def profiles(
    context: Context, staged: Publication, declared: DataFrame, side: Side, written: Mapping[str, str],
    report: StageReport,
) -> DataFrame | None:  # fmt: skip
    """The key of a side's declared rows and what its generator of new rows learns from; None if that is nothing.

    A row teaches what rows are like whether or not anybody has met it: other than cold start, this goes by all of them.
    written: attributes that another one makes.
    """
    tokens = _tokens(context, staged, declared, side, written, report)
    if configured(context, side).network == AUTOREGRESSIVE:
        return tokens if len(tokens.columns) > 1 else None
    members = context.config.features.max_multi_values
    fitted = encoding.fit_rows(declared, context.config.source.attributes(side), limits(context), members)
    staged.write_json(f"{encoding_folder(side)}/{ROWS}.json", fitted.to_json())
    return encoding.encode(declared, fitted).select(side.key, *fitted.columns) if fitted.columns else None


def _tokens(
    context: Context, staged: Publication, declared: DataFrame, side: Side, written: Mapping[str, str],
    report: StageReport,
) -> DataFrame:  # fmt: skip
    """The key and the token columns; stages their encoding, and says what it leaves out."""
    f, source, kinds = context.config.features, context.config.source.of(side), context.config.source.attributes(side)
    bounds = TokenLimits(configured(context, side).min_category_count, f.max_categories, f.max_multi_values)
    fitted, left_out = fitting.fit(declared, kinds, bounds, written)
    report.notes += [f"new {side.name} have no {name!r}: {why}" for name, why in left_out.items()]
    tokens = staged.keep(f"tokens_{side.name}", fitting.encode(declared, fitted).select(side.key, *fitted.columns))
    fitted = fitting.counted(tokens, fitted)
    fitted, notes = hierarchy.learn(tokens, fitted, source.hierarchies if source is not None else [])
    report.notes += notes
    found = {t.column: t.name for t in fitted.tokens}
    if fitted.hierarchies:
        rules = ", ".join(f"{found[h.coarse]} > {found[h.fine]}" for h in fitted.hierarchies)
        report.notes.append(f"hierarchies of {side.name}, which no new row breaks: {rules}")
    staged.write_json(f"{encoding_folder(side)}/tokens.json", fitted.to_json())
    return tokens


def split_off(rows: DataFrame, key: str, count: int, seed: int) -> tuple[DataFrame, DataFrame | None]:
    """The rows to learn from, and those to stop by (None of a small table); `key` decides, so order does not."""
    if count < LEAST_VALIDATED:
        return rows, None
    share = min(VALIDATION_SHARE, VALIDATION_ROWS / count)
    place = F.pmod(F.xxhash64(F.lit(seed), key), F.lit(1_000_000))
    held = place < int(share * 1_000_000)
    return rows.where(~held), rows.where(held)


def read_rows_encoding(context: Context, side: Side) -> TableEncoding:
    """The encoding of a generator of new rows that does not take tokens."""
    return read_encoding(context, side, ROWS)


def read_tokens(context: Context, side: Side) -> TokenEncoding:
    """The tokens that featurize fitted for items or users."""
    path = f"{context.url(encoding_folder(side))}/tokens.json"
    return TokenEncoding.from_json(json.loads(context.lake.read_text(path)))
