"""Stage train: the generators, from their feeds, and the judge of proposed pairs."""

from __future__ import annotations

from synthspark.coldstart import learn
from synthspark.coldstart.evidence import Evidence, published
from synthspark.coldstart.learn import Learned, Model
from synthspark.coldstart.spaces import Place
from synthspark.coldstart.tasks import BEHAVIOUR
from synthspark.errors import TrainingError
from synthspark.newrows.feeds import AUTOREGRESSIVE
from synthspark.newrows.texts import text_task
from synthspark.newrows.training import profile_task, train_profile_judge
from synthspark.runs.context import Context, StageReport
from synthspark.runs.publication import Publication
from synthspark.runs.tables import JUDGE, behaviour_feed, model_folder
from synthspark.search.of_run import train_search
from synthspark.sides import ITEMS, SIDES, Side
from synthspark.stages.card import write_card
from synthspark.training import TrainingTask, train_all


def train(context: Context) -> StageReport:
    """Publish models/<name> for each generator that the data allow; the report says which are not trained."""
    report, work = StageReport(), context.checkpoints()
    with context.publication("train") as staged:
        evidence = published(context)
        profiles, behaviours = make_tasks(context, evidence, report)
        writers = [task for side in profiles if (task := text_task(context, side, report)) is not None]
        tasks = [*profiles.values(), *behaviours.values(), *writers]
        if not tasks:
            raise TrainingError("nothing can be trained: neither items nor users have an attribute to learn from")
        context.on_step(f"training {', '.join(task.name for task in tasks)}")
        trained = train_all(context.spark, tasks, context.config.train.processes, context.on_epoch)
        for side, task in profiles.items():
            if task.network == AUTOREGRESSIVE:
                context.on_step(f"training the judge of new {side.name}")
                train_profile_judge(context, task, side, report)
        for task in tasks:
            meta = trained[task.output_url]
            write_card(context, task, meta)
            staged.copy_in(f"{work}/{task.name}", model_folder(task.name))  # Hadoop's form of the URL, not fsspec's
            report.details[task.name] = {k: meta[k] for k in ("sha256", "network")}
            last = meta["history"][-1]
            shown = ", ".join(f"{k.removesuffix('_loss')} {v:.3f}" for k, v in last.items() if k.endswith("_loss"))
            report.notes.append(f"{task.name} ({meta['network']}): {shown} after {last['epoch']} epochs")
        if ITEMS.name in behaviours and context.config.judge.enabled:
            pairs = staged.keep("warm", evidence.warm_pairs())
            models = {n: Model(t.output_url, trained[t.output_url]) for n, t in behaviours.items()}
            _judge(context, staged, Learned(evidence, pairs, models, learn.spaces_of(context), None), report)
        train_search(context, staged, report, write_card)
        report.rows_in = sum(t.num_rows for t in tasks)
        report.rows_out = len(tasks)
        staged.details.update(report.to_json())
    context.lake.delete(work)
    return report


def make_tasks(
    context: Context, evidence: Evidence, report: StageReport
) -> tuple[dict[Side, TrainingTask], dict[str, TrainingTask]]:
    """Return tasks of profile generators by side and of behaviour generators by name; report those without data."""
    profiles = {side: task for side in SIDES if (task := profile_task(context, side, report)) is not None}
    behaviours = learn.tasks(context, Place.published(context), evidence, context.checkpoints())
    for side in SIDES:
        if side.name not in behaviours:
            why = f"its feed has {context.rows('featurize', behaviour_feed(side))} rows"
            why = why if evidence.has_input(side) else f"{side.name} have no attribute to learn from"
            report.notes.append(f"{BEHAVIOUR}_{side.name} is not trained: {why}")
    return profiles, behaviours


def _judge(context: Context, staged: Publication, learned: Learned, report: StageReport) -> None:
    """Train the judge and stage models/judge_items, or report why there is none."""
    folder = f"{context.checkpoints()}/{JUDGE}"
    asking = learned.evidence.cold(ITEMS) if context.config.synthesize.cold_items else None
    judge = learn.judge(context, staged, learned, folder, asking)
    if judge is None:
        report.notes.append(f"{JUDGE} is not trained: its fold of the warm items is too small (judge.min_fold_items); "
                            "the generator's own ranking decides")  # fmt: skip
        return
    staged.copy_in(folder, model_folder(JUDGE))
    found = judge.meta
    report.details[JUDGE] = {
        k: found[k] for k in ("model", "sha256", "auc", "num_pairs", "placing", "trials", "ridge_sha256")
    }
    held_out = "too few items to hold some out" if found["auc"] is None else f"AUC {found['auc']:.3f} on held-out items"
    report.notes.append(f"{JUDGE} ({found['model']}): {held_out}, from {found['num_pairs']:,} pairs; "
                        f"{judge.placing.words()}")  # fmt: skip
