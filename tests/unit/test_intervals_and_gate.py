from __future__ import annotations

import numpy as np
import pytest

from synthspark.coldstart.audience import NOTHING, Placing
from synthspark.coldstart.tuning import BUDGETS, DRAWN, LATER, SLACKS, START, WEIGHTS, Trial, best, search
from synthspark.config import Evaluate
from synthspark.ranking.bootstrap import GroupSums, interval, resampled_means
from synthspark.ranking.gate import Difference, Verdict, combine_verdicts, verdict
from synthspark.ranking.measures import SliceResult, averaged, paired_difference
from synthspark.ranking.metrics import metric_columns
from synthspark.stages.evaluate import decided


def sums(values: list[float]) -> GroupSums:
    return GroupSums(np.array(values)[:, None], np.ones(len(values)))


def test_intervals_cover_the_mean_and_narrow_with_users() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(1, 1, 100), rng.normal(1, 1, 2500)
    widths = []
    for values in (few, many):
        low, high = interval(resampled_means([sums(list(values))], 1000, 0)[:, 0, 0])
        assert low < values.mean() < high
        widths.append(high - low)
    assert widths[0] == pytest.approx(2 * 1.96 / 10, rel=0.25)
    assert widths[1] == pytest.approx(widths[0] / 5, rel=0.25)


def test_a_paired_difference_is_narrower_than_its_parts() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(0, 1, 500)
    samples = resampled_means([sums(list(base)), sums(list(base + 0.1))], 500, 0)[:, :, 0]
    low, high = interval(samples[:, 1] - samples[:, 0])
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(0.1)


def test_splits_of_the_same_users_are_not_taken_for_more_users() -> None:
    rng = np.random.default_rng(0)
    real, made = (sums(list(rng.normal(mean, 1, 400))) for mean in (0.0, 0.1))
    arms = [np.zeros((400, len(metric_columns([5])))) for _ in range(2)]
    for whole, one in zip(arms, (real, made), strict=True):
        whole[:] = one.sums
    once = [[GroupSums(whole, np.ones(400))] for whole in arms]
    alone = paired_difference(once[0], once[1], [5], "ndcg_5", 500, 0)
    thrice = paired_difference(once[0] * 3, once[1] * 3, [5], "ndcg_5", 500, 0)
    assert (thrice.low, thrice.high) == pytest.approx((alone.low, alone.high))
    # Of other users each, splits do tell more.
    there = [np.roll(np.repeat([1.0, 0.0], [400, 800]), 400 * i) for i in range(3)]
    apart = [[GroupSums(np.tile(whole, (3, 1)) * mine[:, None], mine) for mine in there] for whole in arms]
    several = paired_difference(apart[0], apart[1], [5], "ndcg_5", 500, 0)
    assert several.high - several.low == pytest.approx((alone.high - alone.low) / 3**0.5, rel=0.15)


def test_the_gate() -> None:
    gain, loss = Difference(0.01, 0.1, 0.08, 0.1), Difference(0.2, 0.19, -0.015, -0.005)
    same, unproven = Difference(0.2, 0.2, -0.0019, 0.002), Difference(0.01, 0.02, -0.001, 0.02)
    assert verdict(gain, same, "NDCG@20").ship
    assert verdict(gain, same, "NDCG@20").why.startswith("ship: cold NDCG@20 0.0100 -> 0.1000")
    for cold, warm, word in ((gain, loss, "warm accuracy may fall"), (unproven, same, "no proven gain")):
        decision = verdict(cold, warm, "NDCG@20")
        assert not decision.ship
        assert word in decision.why
        assert decision.undecided == (cold is unproven)
        assert ("judge more splits" in decision.why) == (cold is unproven)
    wide = Difference(0.2, 0.201, -0.006, 0.008)
    assert not verdict(gain, wide, "NDCG@20").ship
    assert verdict(gain, wide, "NDCG@20").undecided
    assert not verdict(unproven, loss, "NDCG@20").undecided
    by_time = verdict(unproven, same, "NDCG@20", drawn=False)
    assert by_time.undecided
    assert "more splits" not in by_time.why
    assert not verdict(Difference(0.2, 0.2001, -0.001, 0.0012), same, "NDCG@20").undecided


def test_starts_of_als_are_averaged_per_user_and_counted_once() -> None:
    def result(*sums: float) -> SliceResult:
        return SliceResult(GroupSums(np.array([[s] for s in sums]), np.array([1.0, 2.0])), {5: sums[0]})

    mean = averaged([{"cold": result(0.2, 0.6)}, {"cold": result(0.4, 1.0)}])["cold"]
    assert mean.sums.sums.ravel() == pytest.approx([0.3, 0.8])
    assert mean.sums.counts.tolist() == [1, 2]
    assert mean.coverage == {5: pytest.approx(0.3)}


def test_several_protocols_ship_together_or_not_at_all() -> None:
    good, bad = Verdict(True, "ship: a"), Verdict(False, "do not ship: b")
    assert combine_verdicts({"cold_item": bad}) == bad
    assert combine_verdicts({"cold_item": good, "time": good}) == Verdict(
        True, "ship: cold_item: ship: a; time: ship: a"
    )
    assert combine_verdicts({"cold_item": good, "time": bad}).why.startswith(
        "do not ship: cold_item: ship: a; time: do not"
    )
    assert not combine_verdicts({}).ship
    unsure = Verdict(False, "do not ship: c", undecided=True)
    assert combine_verdicts({"cold_item": good, "time": unsure}).undecided
    assert not combine_verdicts({"cold_item": bad, "time": unsure}).undecided
    assert not combine_verdicts({"cold_item": good, "time": good}).undecided


def test_no_verdict_without_both_slices_that_decide() -> None:
    whole = SliceResult(GroupSums(np.ones((4, len(metric_columns([20])))), np.ones(4)), {20: 0.5})
    arms = ("real", "real+synthetic")
    config = Evaluate(ks=[20], bootstrap=100)
    assert "cold NDCG@20" in decided(config, "time", [{arm: {"cold": whole, "warm": whole} for arm in arms}]).why
    for there, absent in (("cold", "warm"), ("warm", "cold")):
        decision = decided(config, "time", [{arm: {there: whole} for arm in arms}])
        assert not decision.ship and not decision.undecided
        assert f"slice {absent!r} of protocol time" in decision.why and "\n" not in decision.why


def test_a_placing_keeps_warm_accuracy_first() -> None:
    small, large, heavy = Placing(0.01, 0.5), Placing(0.02, 0.5), Placing(0.02, 1.0)
    real = trial(0.01, 0.2, 0.18)
    tried = {small: trial(0.1, 0.2, 0.19), large: trial(0.12, 0.2004, 0.2), heavy: trial(0.14, 0.19, 0.21)}
    assert best(real, tried) == large
    losing = {heavy: tried[heavy], large: trial(0.1, 0.191, 0.2)}
    assert best(real, losing) == NOTHING
    assert best(real, losing, may_be_nothing=False) == large


@pytest.mark.parametrize(
    ("slack", "budget", "least"), [(1.0, 0.1, 1.0), (1.0, 0.2, 1.005), (None, 0.03, 1.0002), (None, 0.2, 1.0084)]
)
def test_what_a_trial_does_not_see_is_allowed_for(slack: float | None, budget: float, least: float) -> None:
    real, placing = trial(0.01, 0.2, 0.18), Placing(budget, 0.25, slack)
    assert best(real, {placing: trial(0.1, 0.2 * (least + 0.0002), 0.19)}) == placing
    assert best(real, {placing: trial(0.1, 0.2 * (least - 0.0002), 0.19)}) == NOTHING


def test_nothing_is_placed_where_a_question_loses_or_the_cold_gain_by_chance() -> None:
    real, one = trial(0.01, 0.2, 0.18), Placing(0.01, 0.5)
    good = trial(0.1, 0.2, 0.19)
    assert best(real, {one: good}) == one
    assert best(real, {one: trial(0.1, 0.2, 0.179)}) == NOTHING  # all items are ranked worse
    assert best(real, {one: trial(0.01, 0.2, 0.18)}) == NOTHING  # the cold gain nothing
    lucky = Trial({DRAWN: good.found[DRAWN] | {"cold": by_users([0.01] * 99 + [0.2])}})
    assert best(real, {one: lucky}) == NOTHING
    both = Trial({LATER: good.found[DRAWN], DRAWN: trial(0.1, 0.19, 0.19).found[DRAWN]})
    assert best(Trial({LATER: real.found[DRAWN], **real.found}), {one: both}) == NOTHING  # drawn pairs lose


def test_of_placings_that_are_as_good_the_cold_decide_and_the_warm_must_be_sure() -> None:
    real, one, other = trial(0.01, 0.2, 0.18), Placing(0.01, 0.5), Placing(0.01, 0.5, slack=2.0)
    assert best(real, {one: trial(0.1, 0.2, 0.2), other: trial(0.14, 0.2, 0.1995)}) == other
    assert best(real, {one: trial(0.1, 0.2, 0.2), other: trial(0.14, 0.2, 0.197)}) == one
    unsure = {"warm": by_users([0.0, 0.4] * 50)}  # of the same mean
    assert best(real, {one: Trial({DRAWN: trial(0.1, 0.2, 0.2).found[DRAWN] | unsure})}) == NOTHING
    nearly = {"warm": by_users([0.2] * 98 + [0.1, 0.3])}  # of the same mean; the interval reaches down to .986 of it
    assert best(real, {one: Trial({DRAWN: trial(0.1, 0.2, 0.2).found[DRAWN] | nearly})}) == NOTHING
    few = {"warm": by_users([0.0, 0.41] * 50)}  # 2.5 % more in the mean, of users who differ widely
    assert best(real, {one: Trial({DRAWN: trial(0.1, 0.2, 0.2).found[DRAWN] | few})}) == one
    # The newest pairs are fewer: there the mean decides, and an interval only over all items.
    later = Trial({LATER: trial(0.1, 0.2, 0.2).found[DRAWN] | unsure, DRAWN: trial(0.1, 0.2, 0.2).found[DRAWN]})
    assert best(Trial({LATER: real.found[DRAWN], **real.found}), {one: later}) == one
    noisy = later.found[LATER] | {"all": by_users([0.0, 0.34] * 50)}  # below .18, but by chance
    assert best(Trial({LATER: real.found[DRAWN], **real.found}), {one: Trial({**later.found, LATER: noisy})}) == one


def test_budgets_grow_with_each_weight_until_one_no_longer_gains() -> None:
    real, looked = trial(0.01, 0.2, 0.18), list[Placing]()

    def look(placing: Placing) -> Trial:
        if placing == NOTHING:
            return real
        looked.append(placing)
        loses = placing.budget * placing.weight > 0.0076  # .03 with the first weight, .1 with the small one
        slow = 0.0 if placing.slack is None else 0.02
        return trial(0.1, 0.19 if loses else 0.21, 0.2 + placing.budget - slow)

    chosen = search(look, BUDGETS, WEIGHTS, may_be_nothing=True)
    assert chosen == Placing(0.1, 0.05, None)
    assert looked[:3] == [Placing(START, 0.25, slack) for slack in SLACKS]
    assert Placing(0.1, 0.25) in looked and Placing(0.2, 0.25) not in looked  # not after a loss
    assert {p for p in looked[3:] if p.slack is not None} == {Placing(0.1, 0.05, 1.0), Placing(0.1, 0.05, 2.0)}


def test_the_slack_is_looked_at_again_with_the_budget_found() -> None:
    real = trial(0.01, 0.2, 0.18)

    def look(placing: Placing) -> Trial:
        unsure = placing.slack is None and placing.budget < 0.1
        gain = placing.budget if placing.slack is None else placing.budget / 4
        return real if placing == NOTHING else trial(0.1, 0.19 if unsure else 0.22, 0.2 + gain)

    assert search(look, BUDGETS[:3], [0.25], may_be_nothing=True) == Placing(0.1, 0.25, None)


def test_the_smallest_budget_is_tried_where_the_usual_one_loses() -> None:
    real = trial(0.01, 0.2, 0.18)

    def look(placing: Placing) -> Trial:
        good = placing.budget == 0.01 and placing.slack == 2.0
        return real if placing == NOTHING else trial(0.1, 0.2 if good else 0.19, 0.2)

    assert search(look, BUDGETS, WEIGHTS, may_be_nothing=True) == Placing(0.01, 0.25, 2.0)
    assert search(lambda p: real if p == NOTHING else trial(0.1, 0.1, 0.2), BUDGETS, WEIGHTS, True) == NOTHING
    assert search(lambda p: real if p == NOTHING else trial(0.1, 0.1, 0.2), [0.2], [0.5], False).budget == 0.2


def by_users(values: list[float]) -> SliceResult:
    """A slice of users with these values of every metric."""
    table = np.repeat(np.array(values)[:, None], len(metric_columns([20])), axis=1)
    return SliceResult(GroupSums(table, np.ones(len(values))), {20: 0.0})


def trial(cold: float, warm: float, everything: float) -> Trial:
    """Of a hundred users who are all alike."""
    values = {"cold": cold, "warm": warm, "all": everything}
    return Trial({DRAWN: {part: by_users([value] * 100) for part, value in values.items()}})
