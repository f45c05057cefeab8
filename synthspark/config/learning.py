"""Sections on learning and generation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from synthspark.config.base import Section, text_keys
from synthspark.sides import ITEMS, Side


class Events(Section):
    """Conversion of events to interactions."""

    weights: Annotated[dict[str, Annotated[float, Field(gt=0)]], BeforeValidator(text_keys)] = {
        "view": 1,
        "cart": 3,
        "purchase": 5,
        "rating": 1,
    }
    """Weight of one event, by type; events of other types are rejected."""
    half_life_days: float | None = Field(default=90, gt=0)
    """Number of days after which the weight of an event is halved; null for no decay."""


class Features(Section):
    """Encoders, thresholds for cold entities, and the factors that behaviour is learned in."""

    min_category_count: int = Field(default=3, ge=1)
    """Minimum number of warm entities with a category; rarer categories share one code."""
    max_categories: int = Field(default=50_000, ge=1)
    """Maximum number of categories per column; bounds the memory of encoders and embeddings."""
    max_multi_values: int = Field(default=32, ge=1)
    """Maximum number of distinct values of a multi attribute that new rows can have."""
    max_vocabulary: int = Field(default=100_000, ge=1)
    """Maximum number of words of a text, or values of a multi attribute, with an own id; rarer ones are hashed."""
    max_tokens: int = Field(default=32, ge=1)
    """Maximum number of words of a text, or values of a multi attribute, per row: the most informative ones."""
    text_model: str | None = None
    """Sentence encoder used in addition to the words: a folder that every executor can read, or a name on the hub."""
    min_item_users: int = Field(default=5, ge=1)
    """Items with fewer distinct users are cold: they have too few events for a factor of their own."""
    min_user_items: int = Field(default=5, ge=1)
    """Users with fewer distinct items are cold."""
    factor_rank: int = Field(default=64, ge=1)
    """Rank of the factors that behaviour is learned in; higher than recommend.rank to separate more items."""
    factor_alpha: float = Field(default=10.0, gt=0)
    """Confidence parameter alpha of the factors that behaviour is learned in."""
    factor_regularization: float = Field(default=0.01, ge=0)
    """L2 penalty of the factors that behaviour is learned in; small, because they do not make recommendations."""
    positives: int = Field(default=16, ge=1)
    """Number of positives per row of a behaviour feed."""
    max_feed_rows: int = Field(default=4, ge=1)
    """Maximum number of feed rows per entity, hence of positives x this of its interactions."""


NetworkName = Literal["autoregressive", "gan", "dcgan", "infogan", "wgan_gp", "behaviour"]
"""Names of networks, described in docs/networks.md; `behaviour` generates behaviour, the others generate profiles."""


class Network(Section):
    """A generator: its network, training length and hyperparameters."""

    network: NetworkName = "autoregressive"
    """Network of the generator, see docs/networks.md; behaviour is for behaviour, the others are for profiles."""
    epochs: int | None = Field(default=None, ge=1)
    """Epochs of this generator; null for train.epochs (autoregressive: chosen by the number of rows)."""
    batch_size: int | None = Field(default=None, ge=2)
    """Rows per step and process of this generator; null for train.batch_size (autoregressive: chosen by the number of
    rows)."""
    hyper: dict[str, float | int | str | bool] = {}
    """Hyperparameters of the network and its optimisers, named in docs/networks.md."""


class DifferentialPrivacy(Section):
    """DP-SGD by Opacus (extra `privacy`); docs/decisions/010 states what it covers and what it does not."""

    noise_multiplier: float = Field(default=1.0, gt=0)
    """Standard deviation of the noise, as a multiple of max_grad_norm; more noise gives a smaller epsilon."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Norm that the gradient of each row is clipped to."""
    delta: float = Field(default=1e-5, gt=0, lt=1)
    """Probability that the bound epsilon does not hold; should be well below 1 / rows."""


class ProfileNetwork(Network):
    """Generator of profiles: new rows of items or users."""

    min_category_count: int = Field(default=1, ge=1)
    """Minimum number of rows with a category for autoregressive to emit it; other networks use
    features.min_category_count."""
    judged: bool = True
    """Whether a judge selects among the rows that autoregressive proposes; false: publish them unjudged."""
    init_from: str | None = None
    """Autoregressive model of another shop to start from, e.g. s3a://other-lake/models/profile_items/run_id=R."""
    dp: DifferentialPrivacy | None = None
    """Differentially private training of autoregressive, which bounds what its weights reveal about any one row; null
    for none."""

    @model_validator(mode="after")
    def _private(self) -> ProfileNetwork:
        if self.dp is None:
            return self
        if self.network != "autoregressive":
            raise ValueError(f"dp is for network autoregressive, not for {self.network!r}; leave one of them out")
        if self.judged:
            raise ValueError("dp covers the generator only, and the judge learns from real rows without noise; set "
                             "judged: false, or leave dp out")  # fmt: skip
        return self


class BehaviourNetwork(Network):
    """Generator of behaviour."""

    network: NetworkName = "behaviour"
    """Network of the generator; behaviour is the only one for behaviour."""


class Texts(Section):
    """Writers of the texts of new rows, and of sets with more distinct values than features.max_multi_values."""

    enabled: bool = True
    """Whether new rows get such texts and sets."""
    epochs: int | None = Field(default=None, ge=1)
    """Maximum number of passes over the rows (training stops early by held-out rows); null to choose it by the number
    of rows."""
    batch_size: int = Field(default=64, ge=2)
    """Rows per step and process."""
    hyper: dict[str, float | int | str | bool] = {}
    """Hyperparameters of network `writer` and its optimiser, named in docs/networks.md."""


class Train(Section):
    """Training of the generators."""

    epochs: int = Field(default=30, ge=1)
    """Passes over the feed."""
    batch_size: int = Field(default=512, ge=2)
    """Rows per step and process."""
    processes: int = Field(default=1, ge=1)
    """Number of training processes; each reads its own shard."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to train on; auto uses a GPU if Spark or torch has one."""
    profile_items: ProfileNetwork = ProfileNetwork()
    profile_users: ProfileNetwork = ProfileNetwork(min_category_count=5)
    """Generator of profiles of users. Values of fewer than five users are not emitted, since they could identify
    people."""
    behaviour_items: BehaviourNetwork = BehaviourNetwork()
    behaviour_users: BehaviourNetwork = BehaviourNetwork()
    texts: Texts = Texts()


class Judge(Section):
    """Model that selects which proposed pairs are published; trained on warm items that are treated as cold."""

    model: Literal["trees", "network"] = "trees"
    """Gradient-boosted trees or a small neural network; docs/decisions/006 compares them."""
    enabled: bool = True
    """Whether to use a judge; false: the generator's ranking decides, and it also learns from the items of the fold."""
    fold_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of the warm items that the generator does not see and the judge learns from."""
    min_fold_items: int = Field(default=50, ge=1)
    """Minimum number of items in the fold for a judge: with fewer it overfits to these items."""
    negatives: int = Field(default=3, ge=1)
    """Number of drawn pairs per real pair."""
    max_pairs: int = Field(default=300_000, ge=1000)
    """Maximum number of pairs that the judge is trained on; they are in the driver's memory (about 200 bytes each)."""
    candidates_per_event: float = Field(default=5.0, ge=1)
    """Number of pairs that the generator proposes per virtual event of the budget."""
    min_candidates: int = Field(default=50, ge=1)
    """Minimum number of pairs proposed per user."""
    max_history: int = Field(default=2000, ge=1)
    """Maximum number of a user's items that a candidate is compared with; bounds the memory of a task."""
    trees: int = Field(default=600, ge=1)
    """Maximum number of trees; training stops early by held-out items."""
    learning_rate: float = Field(default=0.03, gt=0)
    """Learning rate of the trees; the network has its own."""
    leaves: int = Field(default=31, ge=2)
    """Number of leaves per tree."""
    epochs: int = Field(default=20, ge=1)
    """Maximum number of passes of the network over its pairs; training stops early by held-out items."""
    hidden: int = Field(default=128, ge=1)
    """Width of the network's two hidden layers."""


class Synthesize(Section):
    """Generation of synthetic users, items and events."""

    users: int = Field(default=1000, ge=0)
    """Number of new users."""
    items: int = Field(default=500, ge=0)
    """Number of new items."""
    seed: int = 0
    """Random seed; the same seed gives the same bytes."""
    cold_items: bool = True
    """Whether real cold items get virtual events."""
    cold_users: bool = True
    """Whether real cold users get virtual events."""
    budget: Annotated[float, Field(gt=0, le=10)] | Literal["auto"] = "auto"
    """Number of virtual events of cold items, as a share of the warm interactions; new items get as many again. auto:
    chosen on the judge's fold, and less if there are few cold items (0.1 without a judge)."""
    weight: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Weight of a virtual event with merit 1, in median real interactions; proportional to the merit. auto: chosen on
    the judge's fold."""
    unjudged_weight: float = Field(default=0.3, gt=0)
    """Weight of virtual events without a judge: those of new users, and those of cold items if there is no judge."""
    items_where: list[str] = []
    """Conditions that all new items meet, e.g. [brand=X, "price<5"]."""
    users_where: list[str] = []
    """Conditions that all new users meet."""
    impute: list[Literal["items", "users"]] = []
    """Sides whose real rows with missing attributes are completed. The completed rows are written to synthetic/<side>
    with origin imputed and their real id; the real rows are not changed."""
    min_events: int = Field(default=1, ge=1)
    """Minimum number of virtual events per cold or new entity. Cold items that would get none otherwise get it in the
    order of their merit, as far as the budget goes once more."""
    basket_weight: float = Field(default=0.01, gt=0)
    """Weight of a cold user's virtual event, in median real interactions; small, so that real events outweigh it."""
    max_basket_share: float = Field(default=1.0, gt=0)
    """Maximum number of virtual events of all cold users together, as a share of all real interactions; baskets shrink
    to meet it, down to `min_events`."""
    recent_baskets: bool = False
    """Whether users without any event may get what most users bought in the last four weeks, if a trial in time says
    that it serves new users better. On Online Retail new users gained 30 %, all users 3.5 %, and known users lost .9 %,
    which the gate does not pass (docs/decisions/021)."""
    max_events: int = Field(default=1000, ge=1)
    """Maximum number of virtual events per new user; bounds the cost of one generated activity."""

    def where(self, side: Side) -> list[str]:
        """Return the conditions that new rows of a side meet."""
        return self.items_where if side == ITEMS else self.users_where

    @property
    def fixed_budget(self) -> float | None:
        """Configured budget; None for auto."""
        return None if self.budget == "auto" else self.budget

    @property
    def fixed_weight(self) -> float | None:
        """Configured weight; None for auto."""
        return None if self.weight == "auto" else self.weight


class Recommend(Section):
    """Implicit ALS and its recommendation lists. `recommend: auto` is short for `recommend: {auto: true}`."""

    auto: bool = False
    """Choose rank, regularization, alpha and events.half_life_days by trials on real rows (stage featurize), starting
    from the configured values."""
    rank: int = Field(default=32, ge=1)
    """Rank of the factorization."""
    k: int = Field(default=20, ge=1)
    """Number of recommended items per user."""
    regularization: float = Field(default=0.1, ge=0)
    """L2 penalty; Spark multiplies it by each entity's number of ratings."""
    alpha: float = Field(default=1.0, gt=0)
    """Confidence of an interaction: 1 + alpha * log(1 + weight)."""
    iterations: int = Field(default=10, ge=1)
    """Number of ALS iterations; each updates both sides."""
    exclude_seen: bool = True
    """Exclude items that the user already interacted with."""

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, data: Any) -> Any:
        return {"auto": True} if data == "auto" else data
