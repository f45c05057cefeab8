"""Apply the models of an earlier run, the release, to today's sources, without training and without trials.

The new run looks like any other: stages featurize and train are published, too. Featurize uses the release's encodings
and its vectors by id; train copies its models. Synthesize and recommend are the usual stages, except that new users and
items are the release's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from synthspark import __version__
from synthspark.coldstart.carried import Drift, carry_spaces, drift, share_known
from synthspark.coldstart.entities import write_features
from synthspark.coldstart.evidence import of_run
from synthspark.coldstart.half_life import half_life
from synthspark.coldstart.spaces import SPACE_OF, space_settings
from synthspark.errors import ConfigError, LakeError, SourceError
from synthspark.features.encoding import TableEncoding
from synthspark.features.feeds import factors_in
from synthspark.features.interactions import interactions, pair_statistics
from synthspark.features.published import read_encoding
from synthspark.runs.context import Context, StageReport
from synthspark.runs.current import verdict_of
from synthspark.runs.tables import EVENTS, INTERACTIONS, encoding_folder, factors, model_folder
from synthspark.sides import SIDES, USERS, Side
from synthspark.stages.run import run_stage
from synthspark.stages.synthesize import synthesize
from synthspark.training.artifacts import WEIGHTS, read_weights

NEEDED = ("clean", "featurize", "train", "synthesize")


def apply_all(
    context: Context, release_id: str, force: bool, recommend: bool, before: Callable[[str], None],
    after: Callable[[str, StageReport | None], None],
) -> None:  # fmt: skip
    """Clean today's sources, place virtual events with the models of `release_id`, and publish them as a new run.

    force: use the release even without a verdict or with "do not ship"; recommend: publish recommendations, too. Raises
    LakeError if the release cannot be applied, ConfigError if its configuration does not fit.
    """
    release = replace(context, run_id=release_id)
    check_release(context, release, force)
    of_release = {"featurize": carry_features, "train": carry_models, "synthesize": synthesize}
    stages = {"clean": None, **{stage: partial(made, release=release) for stage, made in of_release.items()}}
    for stage, function in {**stages, **({"recommend": None} if recommend else {})}.items():
        before(stage)
        after(stage, run_stage(context, stage, function=function))


def check_release(context: Context, release: Context, force: bool) -> None:
    """Raise LakeError or ConfigError if the release cannot be applied to these sources."""
    lake, name = context.lake, release.run_id
    if context.config.source.max_users is not None:
        raise ConfigError("source.max_users reads a sample of users only; remove it to apply models to the whole shop")
    if context.run_id == name:
        raise LakeError(f"run {name!r} cannot be applied to itself; give the new run another --run-id")
    lake.require(name, NEEDED)
    records = lake.records(name)
    if "applied" in records["train"]:
        raise LakeError(f"run {name!r} was itself made by applying run {records['train']['applied']!r}; apply that one")
    if records["train"]["version"] != __version__:
        raise LakeError(f"run {name!r} was made by synthspark {records['train']['version']}, this is {__version__}; "
                        "train again")  # fmt: skip
    ship, why = verdict_of(lake, name)
    if not ship and not force:
        raise LakeError(f"run {name!r} should not be applied: {why} (--force applies it anyway)")
    _check_columns(context, release)
    for space in SPACE_OF.values():
        if release.has(factors(space, USERS)):
            found = len(factors_in(release.read(factors(space, USERS)).columns))
            asked = space_settings(release, space).rank
            if found != asked:
                raise ConfigError(
                    f"run {name!r} has vectors of length {found} in space {space}, the configuration "
                    f"asks for {asked}; undo the change of recommend or features, or train again"
                )
    _check_models(release)


def _check_columns(context: Context, release: Context) -> None:
    for side in SIDES:
        now, then = context.config.source.attributes(side), read_encoding(release, side).kinds
        if now == then:
            continue
        other = sorted(n for n in now.keys() | then.keys() if now.get(n) != then.get(n))
        raise ConfigError(
            f"source.{side.name}.attributes: {other[0]!r} is {now.get(other[0], 'not declared')}, run "
            f"{release.run_id!r} was trained with it {'as ' + then[other[0]] if other[0] in then else 'not declared'}; "
            "declare the same attributes, or train again"
        )


def _check_models(release: Context) -> None:
    for name, about in release.record("train")["details"].items():
        if not isinstance(about, dict) or "network" not in about:
            continue
        url = release.url(model_folder(name))
        if not release.lake.exists(f"{url}/{WEIGHTS}"):
            raise LakeError(f"model {url}: {WEIGHTS} is missing; train again")
        read_weights(url, about["sha256"])


def carry_features(context: Context, release: Context) -> StageReport:
    """Run stage featurize: today's interactions, features in the release's encodings, vectors in its spaces."""
    config, report = context.config, StageReport()
    with context.publication("featurize") as staged:
        events, record = context.read(EVENTS), release.record("featurize")
        pairs = staged.keep("pairs", pair_statistics(events, config.events.weights, half_life(release)))
        if not pairs.take(1):
            raise SourceError("table clean/events: no event is left after cleaning; clean/rejects has the reasons")
        report.rows_in = context.rows("clean", EVENTS)
        staged.write(INTERACTIONS, interactions(pairs))
        encodings: dict[Side, TableEncoding] = {}
        for side in SIDES:
            encodings[side] = read_encoding(release, side)
            write_features(context, staged, pairs, side, encodings, report, encodings[side])
            staged.copy_in(release.url(encoding_folder(side)), encoding_folder(side))
        if not any(share_known(staged, release, side) for side in SIDES):
            raise LakeError(f"run {release.run_id!r} knows none of today's items and users: it is of another shop")
        evidence = of_run(context, staged.read, record["details"]["unit_weight"], encodings)
        carry_spaces(context, staged, evidence, staged.keep("warm", evidence.warm_pairs()), release)
        found = drift(staged, evidence, encodings)
        report.notes += _words(context, found, release.run_id)
        report.details |= {k: v for k, v in record["details"].items() if k in ("unit_weight", "als", "half_life_days")}
        report.details["drift"] = vars(found)
        report.rows_out = staged.rows[INTERACTIONS.name]
        staged.details.update(report.to_json(), applied=release.run_id)
    return report


def _words(context: Context, found: Drift, release: str) -> list[str]:
    """Return a note for each drift figure that exceeds its configured limit."""
    limits = context.config.apply
    said = [
        (found.users_without_vector, limits.max_users_without_vector, "of the warm users have no vector"),
        (found.cold_items, limits.max_cold_items, "of the items are cold"),
        (found.unknown_values, limits.max_unknown_values,
         f"of the values of {found.unknown_attribute!r} of cold items are unknown"),
    ]  # fmt: skip
    return [f"{share:.0%} {words}, more than {limit:.0%}: run {release!r} is too old for this shop, train again"
            for share, limit, words in said if share > limit]  # fmt: skip


def carry_models(context: Context, release: Context) -> StageReport:
    """Run stage train: copy the release's models and the choices of its trials."""
    report, record = StageReport(), release.record("train")
    with context.publication("train") as staged:
        folders = [name for name in record["published"] if name.startswith(model_folder(""))]
        for folder in folders:
            staged.copy_in(release.url(folder), folder)
        report.details |= record["details"]
        report.details["basket_forms"] = release.record("synthesize")["details"].get("basket_forms")
        report.notes.append(f"{len(folders)} models copied from run {release.run_id!r}")
        report.rows_out = len(folders)
        staged.details.update(report.to_json(), applied=release.run_id)
    return report
