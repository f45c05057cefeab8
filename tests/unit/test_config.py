from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synthspark.config import load, parse
from synthspark.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf"


def minimal(**more: Any) -> dict[str, Any]:
    events = {"path": "e", "columns": {"user_id": "u", "item_id": "i"}, "event_type": "view"}
    return {"source": {"events": events}, **more}


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_configuration_loads(path: Path) -> None:
    assert load(path).source.events.columns["user_id"]


def test_unknown_keys_are_errors_that_name_the_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"key 'train.epoch' does not exist. Did you mean 'epochs'"):
        parse(minimal(train={"epoch": 3}))
    with pytest.raises(ConfigError, match=r"key 'lak' does not exist. Did you mean 'lake'"):
        parse(minimal(lak={}))


def test_columns_and_places_are_checked() -> None:
    bad = minimal()
    bad["source"]["events"]["columns"] = {"userid": "u", "item_id": "i"}
    with pytest.raises(ConfigError, match="'userid' is not known there. Did you mean 'user_id'"):
        parse(bad)
    bad = minimal()
    bad["source"]["events"]["table"] = "db.t"
    with pytest.raises(ConfigError, match="exactly one of 'path' and 'table'"):
        parse(bad)
    bad = minimal()
    del bad["source"]["events"]["event_type"]
    with pytest.raises(ConfigError, match="event_type"):
        parse(bad)


def test_a_value_of_the_wrong_type_is_named() -> None:
    with pytest.raises(ConfigError, match=r"train.epochs: .*found 'many'"):
        parse(minimal(train={"epochs": "many"}))


def test_the_judge_is_one_of_two_kinds() -> None:
    assert parse(minimal()).judge.model == "trees"
    assert parse(minimal(judge={"model": "network"})).judge.model == "network"
    with pytest.raises(ConfigError, match=r"judge.model: .*'trees' or 'network', found 'forest'"):
        parse(minimal(judge={"model": "forest"}))


def test_a_profile_network_is_one_word() -> None:
    for name in ("gan", "dcgan", "infogan", "wgan_gp"):
        assert parse(minimal(train={"profile_items": {"network": name}})).train.profile_items.network == name
    with pytest.raises(ConfigError, match=r"train.profile_users.network: .*'dcgan', 'infogan'.*found 'stylegan'"):
        parse(minimal(train={"profile_users": {"network": "stylegan"}}))


def test_overrides_reach_nested_keys_and_spark_names_with_dots(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("source: {events: {path: e, columns: {user_id: u, item_id: i}, event_type: view}}\n")
    config = load(path, ["train.epochs=2", "spark.spark.driver.memory=1g", "lake.root=/tmp/Größe 1"])
    assert (config.train.epochs, config.lake.root) == (2, "/tmp/Größe 1")
    assert config.spark == {"spark.driver.memory": "1g"}
    with pytest.raises(ConfigError, match="write it as"):
        load(path, ["train.epochs"])


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml: cannot be read"):
        load(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load(tmp_path / "b.yaml")


def test_errors_do_not_show_what_may_be_a_secret(tmp_path: Path) -> None:
    said = []
    broken = {"path": "e", "columns": {"user_id": "u", "item_id": "i"}, "options": {"password": 12345}}
    with pytest.raises(ConfigError) as error:
        parse({"source": {"events": broken}})
    said.append(str(error.value))
    path = tmp_path / "c.yaml"
    path.write_text("source: {events: {path: e, columns: {user_id: u, item_id: i}, event_type: view}}\n")
    for override in ("spark.spark.hadoop.fs.s3a.secret.key=@12345", "lake.root.secret=12345"):
        with pytest.raises(ConfigError) as error:
            load(path, [override, "lake.root=x"] if "@" in override else ["lake.root=x", override])
        said.append(str(error.value))
    path.write_text("spark:\n  spark.hadoop.fs.s3a.secret.key: @12345\n")
    with pytest.raises(ConfigError, match=r"not valid YAML: .*\(line 2, column 35\)") as error:
        load(path)
    said.append(str(error.value))
    assert "options.password" in said[0] and "secret.key" in said[1] and "'root' is a value" in said[2]
    assert not [words for words in said if "12345" in words]


def test_the_fingerprint_sees_what_changes_results_only() -> None:
    base = parse(minimal()).fingerprint()
    assert parse(minimal(spark={"spark.master": "local[4]"})).fingerprint() == base
    assert parse(minimal(seed=1)).fingerprint() != base


def test_what_is_searched_is_checked() -> None:
    items = {"path": "i", "columns": {"item_id": "i"}, "attributes": {"title": "text", "price": "numeric"}}
    bad = minimal(search={"fields": ["titel"]})
    bad["source"]["items"] = items
    with pytest.raises(ConfigError, match="search.fields: 'titel' is no text.*Did you mean 'title'"):
        parse(bad)
    with pytest.raises(ConfigError, match="there is no stemmer for 'englisch'. Did you mean 'english'"):
        parse(minimal(search={"language": "englisch"}))
    good = minimal()
    good["source"]["searches"] = {"path": "s", "columns": {"query": "q"}}
    with pytest.raises(ConfigError, match="source.searches.columns lacks 'item_id'"):
        parse(good)
    good["source"]["searches"]["columns"]["item_id"] = "sku"
    assert parse(good).source.has_searches and not parse(minimal()).source.has_searches
