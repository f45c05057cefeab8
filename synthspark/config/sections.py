"""The whole configuration."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from synthspark.config.base import Section
from synthspark.config.learning import Events, Features, Judge, Recommend, Synthesize, Train
from synthspark.config.proof import Evaluate
from synthspark.config.search import Search
from synthspark.config.source import Sources
from synthspark.errors import did_you_mean
from synthspark.sides import ITEMS


class Lake(Section):
    """Where everything is written."""

    root: str = "./lake"
    """Any Hadoop path: local, hdfs, s3a, abfss, gs."""
    format: Literal["parquet", "iceberg", "delta"] = "parquet"
    """Format of the tables that others read (clean, synthetic, recommendations). The job's own feeds are Parquet."""
    catalog: str | None = None
    """Database of Spark's catalogue, e.g. spark_catalog.shop, in which each of these tables is one table, partitioned
    by run_id; null for folders only. The database must exist."""
    views: str | None = None
    """Database of Spark's catalogue in which `synthspark promote` gives every table of the current run a view; null for
    none."""


class Apply(Section):
    """When `synthspark apply` says that it would rather have the models trained again; shares from 0 to 1."""

    max_users_without_vector: float = Field(default=0.2, ge=0, le=1)
    """Of the warm users: all that they did is with items that the release does not know."""
    max_cold_items: float = Field(default=0.9, ge=0, le=1)
    """Of all items."""
    max_unknown_values: float = Field(default=0.3, ge=0, le=1)
    """Of the categorical values of cold items, the attribute with the largest share."""


class Tracking(Section):
    """Where losses and metrics go beside the lake; by the driver, as they come."""

    to: Literal["none", "tensorboard", "mlflow"] = "none"
    """tensorboard and mlflow are extras of the package: pip install 'synthspark[mlflow]'."""
    uri: str | None = None
    """TensorBoard's folder (null: ./tensorboard), or MLflow's tracking server (null: as MLFLOW_TRACKING_URI says)."""


class Config(Section):
    """The whole job."""

    lake: Lake = Lake()
    source: Sources
    events: Events = Events()
    features: Features = Features()
    train: Train = Train()
    judge: Judge = Judge()
    synthesize: Synthesize = Synthesize()
    recommend: Recommend = Recommend()
    evaluate: Evaluate = Evaluate()
    search: Search = Search()
    apply: Apply = Apply()
    tracking: Tracking = Tracking()
    spark: Annotated[dict[str, str], BeforeValidator(lambda v: {str(k): _spark_text(x) for k, x in v.items()})] = {}
    """Spark settings, e.g. {spark.master: "local[2]", spark.driver.memory: 4g}."""
    seed: int = 0
    """Seed of every stage but synthesize, which has its own."""

    @model_validator(mode="after")
    def _searched(self) -> Config:
        known = self.source.attributes(ITEMS)
        for name in self.search.fields or ():
            if known.get(name) not in ("text", "multi", "categorical"):
                raise ValueError(f"search.fields: {name!r} is no text, set or category of source.items.attributes."
                                 f"{did_you_mean(name, known)}")  # fmt: skip
        return self

    def fingerprint(self) -> str:
        """SHA-256 (12 hex digits) of everything that changes results: neither Spark's settings nor tracking."""
        text = json.dumps(self.model_dump(mode="json", exclude={"spark", "tracking", "apply"}), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _spark_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
