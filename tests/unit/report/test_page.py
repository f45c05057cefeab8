import base64
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from synthspark.report import Curve, Distribution, Example, Facts, Heat, Panel, Traversal
from synthspark.report.headline import cautions, headline
from synthspark.report.page import page
from synthspark.report.summary import summary
from synthspark.secrets import without_secrets
from tests.browser import printed

NASTY = "<script>alert('$x_1^2$')</script>\n" + "長い" * 40


def row(arm: str, part: str, value: float, metric: str = "ndcg", low: float | None = None) -> dict[str, object]:
    return {"protocol": "cold_item", "seed": 0, "arm": arm, "slice": part, "metric": metric, "k": 20, "value": value,
            "ci_low": low, "ci_high": None if low is None else 2 * value - low, "num_users": 9}  # fmt: skip


def metrics(ship: bool = True, warm: float = 0.184) -> dict[str, object]:
    rows = [row("real", "cold", 0.01, low=0.008), row("real+synthetic", "cold", 0.13), row("real", "warm", 0.184),
            row("real+synthetic", "warm", warm), row("real", "cold", 0.1, "recall")]  # fmt: skip
    privacy = [{"table": "items", "figure": "membership_auc", "value": 0.51},
               {"table": "items", "figure": "dcr_train_share", "value": None},
               {"table": "items", "figure": "singling_out_univariate",
                "value": {"predicates": 22, "train": 0.025, "holdout": 0.045}}]  # fmt: skip
    return {"protocols": rows, "fidelity": [{"table": "items", "figure": "quality", "value": 0.9}], "privacy": privacy,
            "verdict": {"ship": ship, "why": "because " + NASTY}}  # fmt: skip


def full() -> Facts:
    return Facts(
        run_id="r1",
        metrics=metrics(),
        stages=[{"stage": "clean", "seconds": 1.5, "rows_in": 1000, "rows_out": 9, "rows_rejected": 1, "notes": [NASTY],
                 "peak_bytes": 1 << 30}, {"stage": "train", "seconds": 1, "rows_in": 1, "rows_out": 1,
                                          "rows_rejected": 0, "notes": []}],
        distributions=[
            Distribution(NASTY, [NASTY, "$a", "b"], {"real": [0.5, 0.3, 0.2], "synthetic": [0.4, 0.4, 0.2]}, "bars"),
            Distribution("bins", [0.0, 1.0, 2.0], {"real": [0.5, 0.5], "synthetic": [1.0, 0.0]}, "bins"),
            Distribution("tail", [1.0, 2.0, 5.0], {"real": [1.0, 0.5, 0.1], "synthetic": [1.0, 0.2, 0.0]}, "tail"),
        ],
        heats=[Heat("pairs", ["a", NASTY], [("a", NASTY, 0.3)])],
        curves=[Curve("c", {"generator": [3.0, 2.0], NASTY: [1.0, float("nan")]})],
        traversals=[
            Traversal(NASTY, ["1", "2"], [Panel(NASTY, {NASTY: [0.9, 0.1], "(others)": [0.1, 0.9]}, False),
                                          Panel("price", {"up to 3": [0.9, 0.1], "above 3": [0.1, 0.9]}, True)]),
            Traversal("nothing to show", ["1", "2"], []),
        ],
        examples=[Example("items", {NASTY: (NASTY, None)})],
        rejects=[{"source": "items", "reason": NASTY, "rows": 1234, "raw": NASTY}],
        configuration="lake:\n  root: " + NASTY,
    )  # fmt: skip


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")


def test_what_comes_from_data_is_text_and_every_picture_is_a_drawing() -> None:
    html = page(full())
    tags = Tags(html)
    assert "script" not in tags.names and html.count("&lt;script&gt;") >= 6
    assert len(tags.images) == 2 + 3 + 1 + 1 + 1 + 1  # cold and warm, distributions, pairs, curves, codes, privacy
    for source in tags.images:
        kind, _, data = source.partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert ElementTree.fromstring(base64.b64decode(data)).tag.endswith("svg")
        assert b"<script" not in base64.b64decode(data)
    drawn = [base64.b64decode(source.partition(",")[2]).decode() for source in tags.images]
    gauges = [svg for svg in drawn if "membership inference AUC" in svg]
    assert len(gauges) == 1 and "singled out by one attribute" in gauges[0] and "nearer to train" not in gauges[0]
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", html), "the page asks nobody for anything"
    assert "1,234" in html and "2,000" not in html


def test_on_paper_pictures_stand_in_two_columns_and_the_configuration_in_four(tmp_path: Path) -> None:
    bars = [Distribution(f"d{i}", ["a", "b"], {"real": [0.5, 0.5], "synthetic": [0.4, 0.6]}, "bars") for i in range(12)]
    long = "\n".join(f"key_{i}: {i}" for i in range(240))
    target = tmp_path / "page.html"
    target.write_text(page(replace(full(), distributions=bars, configuration=long)), encoding="utf-8")
    assert 4 <= printed(target, tmp_path / "page.pdf") <= 7  # in one column each: 12


def test_the_same_facts_give_the_same_bytes() -> None:
    assert page(full()) == page(full())


def test_a_run_that_only_judged_the_real_rows_has_a_page() -> None:
    bare = {"protocols": [row("real", "warm", 0.2)], "fidelity": [], "privacy": [],
            "verdict": {"ship": False, "why": "not judged"}}  # fmt: skip
    html = page(Facts("r", bare, []))
    assert "Do not use the synthetic events." in html and len(Tags(html).images) == 1
    assert "codes of infogan" in page(full()) and "codes of infogan" not in html


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (metrics(), "for items that nobody has bought yet become 13.0 times as good (NDCG 0.010 to 0.130), by ALS, which alone does not know them; those for everybody else stay as good as they are (+0.0%)"),  # noqa: E501
        (metrics(warm=0.17), "those for everybody else change by -7.6%"),
        ({"protocols": [], "verdict": {"ship": False}}, "Do not use the synthetic events."),
        ({"protocols": [row("real", "cold", 0.0), row("real+synthetic", "cold", 0.2)], "verdict": {"ship": True}},
         "possible at all (NDCG 0 to 0.200), by ALS, which alone does not know them."),
        ({"protocols": [row("real", "cold", 0.2), row("real+synthetic", "cold", 0.19)], "verdict": {"ship": False}},
         "5% worse"),
        (metrics() | {"verdict": {"ship": False, "undecided": True}},
         "Do not use the synthetic events yet: too little was measured to be sure. Recommendations for"),
    ],
)  # fmt: skip
def test_the_headline_says_what_was_measured(made: dict[str, object], words: str) -> None:
    assert words in headline(made, {"cold_item": "items that nobody has bought yet"})


@pytest.mark.parametrize(
    ("simple", "words"),
    [
        ({"knn": 0.1, "ridge": 0.19}, "ALS on events placed by a linear regression on the attributes, is 5% worse "
                                      "(NDCG 0.190)."),
        ({"content_knn": 0.5}, "content neighbours alone, without ALS, is 2.5 times as good (NDCG 0.500)."),
        ({"popular": 0.2}, "The best simple alternative, the most bought items, is as good."),
    ],
)  # fmt: skip
def test_the_headline_names_the_best_simple_alternative(simple: dict[str, float], words: str) -> None:
    rows = [
        row("real", "cold", 0.1),
        row("real+synthetic", "cold", 0.2),
        *(row(a, "cold", v) for a, v in simple.items()),
    ]
    assert words in headline({"protocols": rows, "verdict": {"ship": True}}, {})


def test_a_gain_that_owes_nothing_to_the_attributes_is_told() -> None:
    def told(permuted: float, popular: float, lately: float = 0.0) -> list[str]:
        arms = {"real": 0.1, "real+synthetic": 0.12, "permuted": permuted, "popular": popular}
        arms |= {"popular_lately": lately} if lately else {}
        return cautions([row(arm, "all", value) for arm, value in arms.items()], "cold_item", 20)

    assert told(0.105, 0.05) == []
    assert ["without the attributes" in line for line in told(0.115, 0.05)] == [True]
    assert ["the most bought items rank better" in line for line in told(0.1, 0.2)] == [True]
    assert ["of the last four weeks rank better" in line for line in told(0.1, 0.05, 0.2)] == [True]
    assert cautions([row("real", "all", 0.1)], "cold_item", 20) == []


def test_a_picture_that_cannot_be_drawn_is_told_in_a_line_and_the_rest_stays() -> None:
    facts = full()
    bad = Distribution("broken", [0.0, 1.0], {"real": [0.5, 0.5]}, "bins")
    odd = Distribution("odd", ["a\x00b", "c\ud800d", "e\x1bf"], {"real": [0.5, 0.3, float("nan")]}, "bars")
    heat = Heat("unknown column", ["a"], [("a", "b", 0.3)])
    html = page(
        replace(facts, distributions=[bad, odd, *facts.distributions], heats=[heat], lacking=["examples: \ud800"])
    )
    assert html.count("Could not be drawn: ") == 2 and "Could not be drawn: KeyError" in html
    assert "This part of the report could not be made: examples: ?" in html
    assert len(Tags(html).images) == len(Tags(page(facts)).images)  # one more, one less
    for source in Tags(html).images:
        ElementTree.fromstring(base64.b64decode(source.partition(",")[2]))
    assert "Because" in html and html.encode()


def test_secrets_are_not_shown() -> None:
    shown = without_secrets({
        "spark": {"fs.s3a.secret.key": "abc", "fs.s3a.access.key": "abc", "spark.app.name": "plain"},
        "options": [{"url": "jdbc:x://me:abc@host/db?user=me&password=abc&x=1"}],
        "path": "s3a://bucket/plain", "epochs": 3,
    })  # fmt: skip
    assert "abc" not in str(shown)
    assert (
        shown["spark"]["spark.app.name"] == "plain" and shown["path"] == "s3a://bucket/plain" and shown["epochs"] == 3
    )
    assert shown["options"][0]["url"] == "jdbc:x://(not shown)@host/db?user=me&password=(not shown)&x=1"


def test_searches_have_their_own_verdict_and_pictures() -> None:
    assert "Searches" not in page(Facts("r", metrics(), []))
    found = {"protocol": "search_cold_item", "arm": "real+synthetic by hybrid", "slice": "cold_in_all"}
    rows = [*metrics()["protocols"], {**row("x", "cold", 0.4, low=0.3), **found}]  # type: ignore[misc]
    told = {"proposals": 12, "virtual clicks of new items": {"clicks": 7, "weighted precision": 0.25}}
    search = {"verdict": {"ship": False, "why": "do not ship: " + NASTY}, "placed": {"search_cold_item, seed 0": told}}
    html = page(Facts("r", {**metrics(), "protocols": rows, "search": search}, []))
    assert "Do not serve the virtual clicks." in html and "<script>" not in html
    assert "clicks 7, weighted precision 0.25" in html and "new items among all" in html
    assert html.index("cold_item, split") < html.index('id="searches"') < html.index("search_cold_item, split")


def told(facts: Facts) -> dict[str, str]:
    return {question: " ".join(lines) for question, lines in summary(facts).answers.items()}


def test_the_first_screen_compares_with_als_alone_the_best_simple_alternative_and_a_control() -> None:
    made = metrics()
    made["protocols"] += [row("knn", "cold", 0.05), row("ridge", "cold", 0.08), row("ridge", "warm", 0.18),
                          row("permuted", "cold", 0.009), row("random", "cold", 0.01)]  # type: ignore[operator]  # fmt: skip
    facts = replace(full(), metrics=made, who={"cold_item": "new items"})
    (table,) = summary(facts).tables
    assert table.columns == ["Cold: new items", "Warm: everybody and everything else"]
    assert [(line.words.partition(":")[0], line.values, line.is_product) for line in table.lines] == [
        ("ALS on real events", [0.01, 0.184], False),
        ("ALS on real and synthetic events", [0.13, 0.184], True),
        ("best simple alternative", [0.08, 0.18], False),
        ("the same with other items' attributes (control)", [0.009, None], False),
    ]
    assert "ALS on events placed by a linear regression" in page(facts)


def test_the_first_screen_says_how_sure_what_it_costs_and_what_could_be_wrong() -> None:
    stages = [
        {"stage": "clean", "seconds": 60, "rows_in": 1000, "rows_out": 970, "rows_rejected": 30, "notes": []},
        {"stage": "synthesize", "seconds": 60, "rows_in": 900, "rows_out": 1, "rows_rejected": 0, "notes": [],
         "tables": {"events of origin cold_item": {"events": 90}, "events of origin new_user": {"events": 40}}},
        {"stage": "evaluate", "seconds": 300, "rows_in": 1, "rows_out": 1, "rows_rejected": 0, "notes": []},
    ]  # fmt: skip
    answers = told(replace(full(), stages=stages))
    assert "warm may lose at most 1%" in answers["How sure is that?"] and "1 split" in answers["How sure is that?"]
    assert answers["What does it cost?"] == (
        "90 synthetic events for cold items and users, 10.0% of the 900 real ones; 40 of new items and users. "
        "2 minutes to make them, 5 minutes to prove them."
    )
    doubts = answers["What could be wrong?"]
    for words in ("only 9 users were asked", "One split was judged", "not by time", "30 of 1,000 rows"):
        assert words in doubts
    assert "membership" not in doubts
    sampled = metrics() | {"sample": {"users": 2000, "of": 31415}}
    facts = replace(full(), metrics=sampled)
    assert headline(sampled, {}).startswith("By a sample of about 2,000 of 31,415 users: use the synthetic events.")
    assert told(facts)["What could be wrong?"].startswith("Only a sample of about 2,000 of 31,415 users was read")
    leaky = metrics()
    leaky["privacy"] = [{"table": "users", "figure": "membership_auc", "value": 0.7}]
    assert "New users reveal rows that the generator learned from: membership AUC 0.70." in told(
        replace(full(), metrics=leaky))["What could be wrong?"]  # fmt: skip
    assert summary(replace(full(), metrics=metrics() | {"protocols": []})).tables == []
