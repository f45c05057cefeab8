"""Top level of the configuration."""

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
    """Location and format of all output."""

    root: str = "./lake"
    """Root folder, any Hadoop path: local, hdfs, s3a, abfss, gs."""
    format: Literal["parquet", "iceberg", "delta"] = "parquet"
    """Format of the tables for other programs (clean, synthetic, recommendations). The job's own feeds are Parquet."""
    catalog: str | None = None
    """Database of Spark's catalogue, e.g. spark_catalog.shop, in which each of these tables is one table, partitioned
    by run_id; null for folders only. The database must exist."""
    views: str | None = None
    """Database of Spark's catalogue in which `synthspark promote` creates a view on every table of the current run;
    null for none."""


class Apply(Section):
    """Limits of drift, as shares from 0 to 1, above which `synthspark apply` recommends training again."""

    max_users_without_vector: float = Field(default=0.2, ge=0, le=1)
    """Maximum share of warm users without a vector, i.e. whose items are all unknown to the release."""
    max_cold_items: float = Field(default=0.9, ge=0, le=1)
    """Maximum share of cold items among all items."""
    max_unknown_values: float = Field(default=0.3, ge=0, le=1)
    """Maximum share of unknown values of any categorical attribute of cold items."""


class Tracking(Section):
    """Experiment tracker that the driver sends losses and metrics to, in addition to the lake."""

    to: Literal["none", "tensorboard", "mlflow"] = "none"
    """Tracker; tensorboard and mlflow are extras of the package: pip install 'synthspark[mlflow]'."""
    uri: str | None = None
    """TensorBoard's folder (null: ./tensorboard) or MLflow's tracking server (null: MLFLOW_TRACKING_URI)."""


class Config(Section):
    """Configuration of the whole job."""

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
    """Random seed of every stage but synthesize, which has its own."""

    @model_validator(mode="after")
    def _searched(self) -> Config:
        known = self.source.attributes(ITEMS)
        for name in self.search.fields or ():
            if known.get(name) not in ("text", "multi", "categorical"):
                raise ValueError(f"search.fields: {name!r} is no text, set or category in source.items.attributes."
                                 f"{did_you_mean(name, known)}")  # fmt: skip
        return self

    def fingerprint(self) -> str:
        """Return SHA-256 (12 hex digits) of all settings that affect results: not those of Spark, tracking, apply."""
        text = json.dumps(self.model_dump(mode="json", exclude={"spark", "tracking", "apply"}), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _spark_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
