"""The configuration: the only place that knows YAML. Units stand in the field's text; unknown keys are errors."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from synthspark.errors import ConfigError, did_you_mean
from synthspark.names import require_names
from synthspark.secrets import without_secrets
from synthspark.sides import ITEMS, Side

Arm = Literal["real", "real+synthetic", "no_judge", "permuted", "knn", "ridge", "random", "popularity", "duplicated",
              "synthetic_only"]  # fmt: skip
ARMS: tuple[Arm, ...] = get_args(Arm)
RANKERS = ("popular", "popular_in_category", "content_knn")
"""Rankers outside ALS, which are judged beside the arms."""
Protocol = Literal["cold_item", "cold_user", "cold_user_item", "time"]
Kind = Literal["categorical", "numeric", "datetime", "text", "multi"]


def _as_text(value: Any) -> Any:
    """A number in YAML that stands for a name or a word, as the text that somebody meant."""
    if isinstance(value, float) and value != value:
        return "nan"
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _text_keys(value: Any) -> Any:
    return {_as_text(k): v for k, v in value.items()} if isinstance(value, dict) else value


def _text_items(value: Any) -> Any:
    """A list of words, of which YAML may have read `null` and numbers as such; one word is a list of one."""
    if isinstance(value, str):
        return [value]
    return ["null" if v is None else _as_text(v) for v in value] if isinstance(value, list) else value


Words = Annotated[list[str], BeforeValidator(_text_items)]
Name = Annotated[str, BeforeValidator(_as_text)]
Weights = Annotated[dict[str, Annotated[float, Field(gt=0)]], BeforeValidator(_text_keys)]


class Section(BaseModel):
    """Base of every section: frozen, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Expression(Section):
    """A column computed from the source's columns."""

    expr: str
    """A Spark SQL expression, e.g. `sales_value / nullif(quantity, 0)`."""


class Bounds(Section):
    """The values a column may take; rows outside are rejected."""

    min: float | None = 0.0
    """Smallest value kept; null for none."""
    max: float | None = None
    """Largest value kept; null for none."""


class Lake(Section):
    """Where everything is written."""

    root: str = "./lake"
    """Any Hadoop path: local, hdfs, s3a, abfss, gs."""
    format: Literal["parquet", "iceberg", "delta"] = "parquet"
    """Format of the tables that others read (clean, synthetic, recommendations). The job's own feeds are Parquet."""


class Source(Section):
    """A source table, by path or by catalogue name."""

    path: str | None = None
    """Path to read; give this or `table`."""
    table: str | None = None
    """Catalogue name, `catalog.database.table`."""
    format: str = "parquet"
    """parquet, csv, json, orc, delta, iceberg: whatever Spark can read."""
    options: dict[str, str] = {}
    """Options of Spark's reader, e.g. {header: "true"}."""
    columns: Annotated[dict[str, Name | Expression], BeforeValidator(_text_keys)]
    """Contract name -> column of the source (a path such as customer.id goes into structs, maps and JSON), or
    {expr: ...}."""
    null_values: Annotated[list[str] | None, BeforeValidator(_text_items)] = None
    """Texts that stand for a missing value, in every column; null: NULL, null, \\N, nan, NaN, None, N/A, <NA>, - and
    undefined, in ids (and in the numbers of events) only. Blank texts always are missing."""
    explode: Words = []
    """Lists that are taken apart before anything else, e.g. lines: an order becomes its lines. Their fields are then
    named by a path, e.g. lines.sku."""

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if (self.path is None) == (self.table is None):
            raise ValueError("give exactly one of 'path' and 'table'")
        return self


class EventSource(Source):
    """The events: who did what with which item, and when."""

    event_type: str | None = None
    """The type of every event, where the source has no column for it."""
    timezone: str = "UTC"
    """Zone of timestamps that carry none, e.g. America/New_York."""
    timestamp_format: str | None = None
    """A Spark pattern, or epoch_seconds, epoch_millis, epoch_micros or epoch_nanos for numbers; null for timestamps
    and ISO strings."""
    bounds: dict[Literal["value", "price"], Bounds] = {}
    """Bounds of value and price; both at least 0 where nothing is said."""
    unknown_items: Literal["reject", "keep"] = "reject"
    """What happens to events of items that the items table lacks."""
    max_events_per_user_per_day: int | None = Field(default=None, ge=1)
    """Users above this on a day are robots for that day; null for no limit."""

    @model_validator(mode="after")
    def _needs(self) -> EventSource:
        allowed = ("user_id", "item_id", "event_type", "ts", "value", "price", "query", "session_id")
        _only(self.columns, allowed, "source.events.columns")
        for name in ("user_id", "item_id"):
            if name not in self.columns:
                raise ValueError(f"source.events.columns lacks {name!r}")
        if (self.event_type is None) == ("event_type" not in self.columns):
            raise ValueError("give event_type either as a constant (source.events.event_type) or under columns")
        return self


class AttributeBounds(Section):
    """The values that an attribute may take; others become null."""

    min: float | datetime | date | None = None
    """Smallest value kept: a number, or a day or instant in UTC; null for none."""
    max: float | datetime | date | None = None
    """Largest value kept; null for none."""


class EntitySource(Source):
    """Items or users: a key and the attributes that are known of it."""

    attributes: Annotated[dict[str, Kind], BeforeValidator(_text_keys)] = {}
    """Attribute -> categorical, numeric, datetime, text or multi. Read from the column of that name."""
    filter: str | None = None
    """SQL condition over the source's columns; rows that do not meet it are rejected, and so are their events."""
    timezone: str = "UTC"
    """Zone of datetime attributes that carry none."""
    separator: str = "|"
    """Separates the values of a multi attribute that is stored as one string; lists in brackets need none."""
    separators: dict[str, str] = {}
    """Multi attribute -> its own separator."""
    bounds: dict[str, AttributeBounds] = {}
    """Numeric or datetime attribute -> {min: ..., max: ...}. Where nothing is said, datetimes outside of 1678 to 2261
    and the days that stand for no date (1900-01-01, 1899-12-30, 1753-01-01) become null."""
    min_known_ids: float = Field(default=0.5, ge=0, le=1)
    """Share of the ids in the events that this table must have: fewer, and ids are probably written in another way."""
    price: str | None = None
    """Of items: the numeric attribute that is their price, which their virtual events have before anything is sold;
    null: the one called price, if there is one."""
    hierarchies: list[list[str]] = []
    """Categorical attributes from coarse to fine, e.g. [[department, category, type]]: no new row breaks them, nor any
    that the data show by themselves."""

    @property
    def price_attribute(self) -> str | None:
        """`price`, or the attribute of that name."""
        return self.price or ("price" if self.attributes.get("price") == "numeric" else None)


class Sources(Section):
    """The tables that come in."""

    events: EventSource
    items: EntitySource | None = None
    users: EntitySource | None = None

    def of(self, side: Side) -> EntitySource | None:
        """The table of items or users, if there is one."""
        return self.items if side == ITEMS else self.users

    def attributes(self, side: Side) -> dict[str, str]:
        """Name -> kind of what is declared of items or users."""
        source = self.of(side)
        return {name: str(kind) for name, kind in source.attributes.items()} if source is not None else {}

    @model_validator(mode="after")
    def _keys(self) -> Sources:
        for side, table in (("items", self.items), ("users", self.users)):
            if table is not None:
                require_names(table.attributes, f"source.{side}")
                if table.price is not None and (side == "users" or table.attributes.get(table.price) != "numeric"):
                    raise ValueError(f"source.{side}.price: {table.price!r} is no numeric attribute of items")
                for key in ("bounds", "separators"):
                    _only(getattr(table, key), tuple(table.attributes), f"source.{side}.{key}")
        for name, source, key in (("items", self.items, "item_id"), ("users", self.users, "user_id")):
            if source is not None:
                _only(source.columns, (key, *source.attributes), f"source.{name}.columns")
                if key not in source.columns:
                    raise ValueError(f"source.{name}.columns lacks {key!r}")
        return self


class Events(Section):
    """How events become interactions."""

    weights: Annotated[dict[str, Annotated[float, Field(gt=0)]], BeforeValidator(_text_keys)] = {
        "view": 1,
        "cart": 3,
        "purchase": 5,
        "rating": 1,
    }
    """Weight of one event by type; events of a type not named here are rejected."""
    half_life_days: float | None = Field(default=90, gt=0)
    """Days after which an event counts half; null for no decay."""


class Features(Section):
    """Encoders, and who counts as cold."""

    min_category_count: int = Field(default=3, ge=1)
    """Categories seen less often share the rare code, and are never emitted."""
    max_categories: int = Field(default=50_000, ge=1)
    """Categories kept per column; bounds the memory of encoders and embeddings."""
    max_multi_values: int = Field(default=32, ge=1)
    """Values of a multi attribute that get a column of their own."""
    text_buckets: int = Field(default=32, ge=1)
    """Hashed n-gram buckets per text attribute."""
    text_model: str | None = None
    """A sentence encoder instead of hashed n-grams: a folder that every executor sees, or a name on the hub."""
    min_item_users: int = Field(default=5, ge=1)
    """An item with fewer distinct users is cold: no factor of its own is trusted."""
    min_user_items: int = Field(default=5, ge=1)
    """A user with fewer distinct items is cold."""
    factor_rank: int = Field(default=64, ge=1)
    """Length of the factors that behaviour is learned in: longer than ALS's own, so that they tell more items apart."""
    factor_alpha: float = Field(default=10.0, gt=0)
    """Confidence of an interaction in those factors."""
    factor_regularization: float = Field(default=0.01, ge=0)
    """Of those factors: little, since nobody is recommended anything from them."""
    positives: int = Field(default=16, ge=1)
    """Positives per row of a behaviour feed."""
    max_feed_rows: int = Field(default=4, ge=1)
    """Feed rows per entity: an entity shows at most positives x this of its interactions."""


NetworkName = Literal["autoregressive", "gan", "dcgan", "infogan", "wgan_gp", "behaviour"]
"""docs/networks.md says what each is; behaviour is that of the behaviour generators, the others are for profiles."""


class Network(Section):
    """One generator: its size, its losses, its optimisers."""

    network: NetworkName = "autoregressive"
    """See docs/networks.md; behaviour is that of the behaviour generators, the others are for profiles."""
    epochs: int | None = Field(default=None, ge=1)
    """Epochs of this generator; null for train.epochs (of autoregressive: what suits the number of rows)."""
    batch_size: int | None = Field(default=None, ge=2)
    """Rows per step and process of this generator; null for train.batch_size (of autoregressive: as epochs)."""
    hyper: dict[str, float | int | str | bool] = {}
    """Settings of the network and its optimisers, named in docs/networks.md."""


class DifferentialPrivacy(Section):
    """DP-SGD by Opacus (extra `privacy`); docs/decisions/010 says what it covers and what not."""

    noise_multiplier: float = Field(default=1.0, gt=0)
    """Standard deviation of the noise, in max_grad_norm: the more, the smaller epsilon."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Length that a row's gradient is cut to."""
    delta: float = Field(default=1e-5, gt=0, lt=1)
    """Chance that epsilon does not hold; well below 1 / rows."""


class ProfileNetwork(Network):
    """A generator of profiles: new rows of items or users."""

    min_category_count: int = Field(default=1, ge=1)
    """Categories that fewer rows have are never emitted by autoregressive; for the others features.min_category_count
    says it."""
    judged: bool = True
    """False: what autoregressive proposes is published unjudged."""
    init_from: str | None = None
    """An autoregressive model of another shop to start from, e.g. s3a://other-lake/models/profile_items/run_id=R."""
    dp: DifferentialPrivacy | None = None
    """Noise on every step of autoregressive, so that its weights tell little of any one row; null for none."""

    @model_validator(mode="after")
    def _private(self) -> ProfileNetwork:
        if self.dp is None:
            return self
        if self.network != "autoregressive":
            raise ValueError(f"dp is for network autoregressive, not for {self.network!r}; leave one of them out")
        if self.judged:
            raise ValueError("dp holds of the generator only, and the judge learns from real rows without noise; set "
                             "judged: false, or leave dp out")  # fmt: skip
        return self


class BehaviourNetwork(Network):
    """A generator of behaviour."""

    network: NetworkName = "behaviour"
    """The only one of its kind."""


class Train(Section):
    """Training of the four generators."""

    epochs: int = Field(default=30, ge=1)
    """Passes over the feed."""
    batch_size: int = Field(default=512, ge=2)
    """Rows per step and process."""
    processes: int = Field(default=1, ge=1)
    """Processes in all; each reads its own shard."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where Spark or torch has one."""
    profile_items: ProfileNetwork = ProfileNetwork()
    profile_users: ProfileNetwork = ProfileNetwork(min_category_count=5)
    """What fewer than five people have could tell who they are."""
    behaviour_items: BehaviourNetwork = BehaviourNetwork()
    behaviour_users: BehaviourNetwork = BehaviourNetwork()


class Judge(Section):
    """What decides which of the generator's pairs are published, trained on warm items that are treated as cold."""

    model: Literal["trees", "network"] = "trees"
    """Gradient-boosted trees, or a small neural network: which judges better is in docs/decisions/006."""
    enabled: bool = True
    """False: the generator's own ranking decides, and it learns from the fold's items too."""
    fold_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of the warm items that the generator does not see and the judge learns from."""
    min_fold_items: int = Field(default=50, ge=1)
    """Items of the fold below which there is no judge: from few items it learns those, not what makes a pair likely."""
    negatives: int = Field(default=3, ge=1)
    """Drawn pairs per real one."""
    max_pairs: int = Field(default=300_000, ge=1000)
    """Pairs that the judge is trained on, at most; they are in the driver's memory (about 200 bytes each)."""
    candidates_per_event: float = Field(default=5.0, ge=1)
    """Pairs that the generator proposes for each one that the budget allows."""
    min_candidates: int = Field(default=50, ge=1)
    """Pairs proposed per user at least."""
    max_history: int = Field(default=2000, ge=1)
    """Items of a user that a candidate is compared with at most; bounds a task's memory."""
    trees: int = Field(default=600, ge=1)
    """Trees at most; fewer where held-out items gain nothing from more."""
    learning_rate: float = Field(default=0.03, gt=0)
    """Of the trees; the network has its own."""
    leaves: int = Field(default=31, ge=2)
    """Leaves per tree."""
    epochs: int = Field(default=20, ge=1)
    """Passes of the network over its pairs at most; fewer where held-out items gain nothing from more."""
    hidden: int = Field(default=128, ge=1)
    """Width of the network's two hidden layers."""


class Synthesize(Section):
    """What is made."""

    users: int = Field(default=1000, ge=0)
    """New users."""
    items: int = Field(default=500, ge=0)
    """New items."""
    seed: int = 0
    """Same seed, same bytes."""
    cold_items: bool = True
    """Virtual events for every real cold item."""
    cold_users: bool = True
    """Virtual events for every real cold user."""
    budget: Annotated[float, Field(gt=0, le=10)] | Literal["auto"] = "auto"
    """Virtual events of cold items per user, as a share of the user's own number of items; auto: chosen on the judge's
    fold (without a judge 0.1)."""
    weight: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Weight of a virtual event that the judge is sure of, in median real interactions, others in proportion; auto:
    chosen on the judge's fold."""
    unjudged_weight: float = Field(default=0.3, gt=0)
    """Weight of a virtual event that nobody judged: those of new users, and of cold items if there is no judge."""
    items_where: list[str] = []
    """Conditions that all new items meet, e.g. [brand=X, "price<5"]."""
    users_where: list[str] = []
    """Conditions that all new users meet."""
    impute: list[Literal["items", "users"]] = []
    """Sides whose real rows are completed: synthetic/<side> gets, with origin imputed and their own id, those that lack
    an attribute, with all of them. The real rows stay as they are."""
    min_events: int = Field(default=1, ge=1)
    """Events that every cold or new entity gets at least."""
    basket_weight: float = Field(default=0.01, gt=0)
    """Weight of a cold user's virtual event, in median real interactions: what he really does must outweigh it."""
    max_events: int = Field(default=1000, ge=1)
    """Events that a new user gets at most; a bound on what one generated activity can cost, not a shape."""

    @property
    def fixed_budget(self) -> float | None:
        """The budget that the user has said; None for auto."""
        return None if self.budget == "auto" else self.budget

    @property
    def fixed_weight(self) -> float | None:
        """The weight that the user has said; None for auto."""
        return None if self.weight == "auto" else self.weight


class Recommend(Section):
    """Implicit ALS, and the lists it makes."""

    rank: int = Field(default=32, ge=1)
    """Length of a factor."""
    k: int = Field(default=20, ge=1)
    """Items per user."""
    regularization: float = Field(default=0.1, ge=0)
    """Times the interactions of a user or an item, as Spark's ALS scales it."""
    alpha: float = Field(default=1.0, gt=0)
    """Confidence of an interaction: 1 + alpha * log(1 + weight)."""
    iterations: int = Field(default=10, ge=1)
    """Of both sides in turn."""
    exclude_seen: bool = True
    """Leave out what the user already has."""


def _arm_name(name: str) -> str:
    """Names of arms are parts of paths and keys of results."""
    taken = (*ARMS, *RANKERS, "items", "users", "judge")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]*", name) or name in taken:
        raise ValueError(f"the name {name!r} cannot be used: letters, digits, blanks, '.', '_' and '-' only, and none "
                         f"of {', '.join(taken)}")  # fmt: skip
    return name


class Ablation(Section):
    """An arm that is the product but for what is said here; of cold items only."""

    hyper: dict[str, float | int | str | bool] = {}
    """Settings of the generator of items, which is trained again with them."""
    budget: float | None = Field(default=None, gt=0)
    """Instead of synthesize.budget."""
    weight: float | None = Field(default=None, gt=0)
    """Instead of synthesize.weight, or without a judge synthesize.unjudged_weight."""
    judged: bool = True
    """False: the generator's own choice."""


class Evaluate(Section):
    """The proof."""

    protocols: list[Protocol] = ["cold_item"]
    """What is held out: docs/evaluation.md."""
    part: Literal["test", "validation"] = "test"
    """Which half of the held-out is judged: whoever tunes looks at the other one."""
    events_left: list[Annotated[int, Field(ge=0)]] = [0, 1, 3, 5]
    """Events that cold users keep, in protocol cold_user: each is judged."""
    time_fraction: float = Field(default=0.2, gt=0, lt=0.5)
    """Share of the events, the newest, that protocol time holds out."""
    seeds: list[int] = [0]
    """Split seeds; three at least before a decision."""
    als_seeds: int = Field(default=2, ge=1)
    """Starts of ALS that every arm's figures are averaged over: one start is as noisy as what is to be found out."""
    arms: list[Arm] = ["real", "real+synthetic", "no_judge", "permuted", "random", "popularity", "duplicated"]
    """What ALS is trained on; docs/evaluation.md says what each shows."""
    profiles: bool = True
    """Fidelity and privacy of the new users and items, against the real rows that their generator did not see."""
    references: bool = False
    """Judge the rankers popular_in_category and content_knn, too; popular always is."""
    ablations: dict[Annotated[str, AfterValidator(_arm_name)], Ablation] = {}
    """More arms, by name: letters, digits, blanks, '.', '_' and '-', and no name of another arm, ranker or side."""
    cold_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of the items (or of the users) that lose all interactions: half validation, half test."""
    warm_holdout: float = Field(default=0.2, gt=0, lt=1)
    """Share of the other interactions that is held out."""
    ks: list[int] = [10, 20]
    """Lengths of the lists that are judged."""
    max_users: int = Field(default=10_000, ge=100)
    """Users that a split asks, drawn, at most: the intervals say what asking fewer costs."""
    bootstrap: int = Field(default=1000, ge=100)
    """Resamples over users for the 95 % intervals."""


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
    tracking: Tracking = Tracking()
    spark: Annotated[dict[str, str], BeforeValidator(lambda v: {str(k): _spark_text(x) for k, x in v.items()})] = {}
    """Spark settings, e.g. {spark.master: "local[2]", spark.driver.memory: 4g}."""
    seed: int = 0
    """Seed of every stage but synthesize, which has its own."""

    def fingerprint(self) -> str:
        """SHA-256 (12 hex digits) of everything that changes results: neither Spark's settings nor tracking."""
        text = json.dumps(self.model_dump(mode="json", exclude={"spark", "tracking"}), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def load(path: str | Path, overrides: list[str] | None = None) -> Config:
    """Read a YAML file and apply `a.b=value` overrides; raises ConfigError that names key, value and the near ones."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"configuration {path}: cannot be read ({error.strerror}); conf/ has examples") from error
    return parse_text(text, str(path), overrides)


def parse_text(text: str, origin: str, overrides: list[str] | None = None) -> Config:
    """The same of YAML that is at hand."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"configuration {origin}: not valid YAML: {_complaint(error)}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"configuration {origin}: expected sections such as 'lake' and 'source', found {text[:40]!r}")
    for override in overrides or []:
        _apply(data, override)
    return parse(data, origin)


def parse(data: dict[str, Any], origin: str = "configuration") -> Config:
    """Validate plain data; raises ConfigError with one line per problem."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        lines = [_explain(dict(problem)) for problem in error.errors()]
        raise ConfigError("\n".join(f"{origin}: {line}" for line in lines)) from error


def public_yaml(config: Config) -> str:
    """The whole configuration, defaults included, as YAML; what may be a secret is left out."""
    return yaml.safe_dump(without_secrets(config.model_dump(mode="json")), sort_keys=False, allow_unicode=True)


def _apply(data: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--set {override!r}: write it as key.sub=value")
    *parents, last = key.strip().split(".")
    if parents and parents[0] == "spark":  # Spark's own names have dots
        parents, last = ["spark"], key.strip().partition(".")[2]
    for parent in parents:
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise ConfigError(f"--set {key.strip()}: {parent!r} is a value, not a section")
    try:
        data[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key.strip()}: the value is not valid YAML: {_complaint(error)}") from None


def _complaint(error: yaml.YAMLError) -> str:
    """What is wrong, and where; not the line itself, which may hold a secret."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return type(error).__name__
    return f"{error.problem} (line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1})"


def _explain(problem: dict[str, Any]) -> str:
    where = [str(part) for part in problem["loc"]]
    key = ".".join(where)
    if problem["type"] == "extra_forbidden":
        known = _keys_at(where[:-1])
        hint = did_you_mean(where[-1], known) or (f" Known keys there: {', '.join(known)}." if known else "")
        return f"key {key!r} does not exist.{hint}"
    if problem["type"] == "missing":
        return f"key {key!r} is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    value = problem.get("input")
    shown = "" if isinstance(value, dict) else f", found {without_secrets(value, where[-1] if where else '')!r}"
    return f"{key}: {message}{shown}" if key else message


def _keys_at(path: list[str]) -> list[str]:
    model: Any = Config
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return []
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
    return sorted(model.model_fields) if model is not None else []


def _only(given: dict[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in allowed:
            raise ValueError(f"{where}: {name!r} is not known there.{did_you_mean(name, allowed)}")


def _spark_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
