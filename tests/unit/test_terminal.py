from __future__ import annotations

from io import StringIO

from rich.console import Console

from synthspark.terminal import metrics_table


def test_a_slice_that_nobody_is_asked_about_is_shown_as_absent() -> None:
    rows = [
        {"protocol": "time", "seed": seed, "arm": "real", "slice": name, "metric": metric, "k": 20, "value": 0.25,
         "ci_low": 0.2, "ci_high": 0.3, "num_users": 9}
        for seed in (0, 1) for name in ("cold", "all") for metric in ("ndcg", "recall")
    ]  # fmt: skip
    out = StringIO()
    Console(file=out, width=120).print(metrics_table("time", rows))
    line = next(line for line in out.getvalue().splitlines() if line.strip().startswith("real"))
    assert line.split() == ["real", "0.2500", "-", "0.2500", "0.2500"]
