"""What is learned of a shop, and what is made of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from synthspark.config.base import Section, text_keys


class Events(Section):
    """How events become interactions."""

    weights: Annotated[dict[str, Annotated[float, Field(gt=0)]], BeforeValidator(text_keys)] = {
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
    """Categories that fewer of those who can be learned from have share the rare code."""
    max_categories: int = Field(default=50_000, ge=1)
    """Categories kept per column; bounds the memory of encoders and embeddings."""
    max_multi_values: int = Field(default=32, ge=1)
    """Values of a multi attribute that new rows can have."""
    max_vocabulary: int = Field(default=100_000, ge=1)
    """Words of a text, or values of a multi attribute, that are told apart; rarer ones are hashed."""
    max_tokens: int = Field(default=32, ge=1)
    """Words of a text, or values of a multi attribute, that a row shows: those that tell most."""
    text_model: str | None = None
    """A sentence encoder beside the words: a folder that every executor sees, or a name on the hub."""
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


class Texts(Section):
    """The writers of new rows' texts, and of sets with more values than features.max_multi_values."""

    enabled: bool = True
    """False: new rows have neither."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the rows, fewer where rows to stop by gain nothing from more; null for what suits their number."""
    batch_size: int = Field(default=64, ge=2)
    """Rows per step and process."""
    hyper: dict[str, float | int | str | bool] = {}
    """Settings of network writer and its optimiser, named in docs/networks.md."""


class Train(Section):
    """Training of the generators."""

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
    texts: Texts = Texts()


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
    """Virtual events of cold items, as a share of the warm items that users have, and of new items as many again; auto:
    chosen on the judge's fold, and less where cold items are few (without a judge 0.1)."""
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
    """Weight of a cold user's virtual event, in median real interactions; small, so that real events outweigh it."""
    max_basket_share: float = Field(default=1.0, gt=0)
    """Virtual events of all cold users at most, as a share of all real interactions: their baskets get smaller, down to
    `min_events`."""
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
    """Implicit ALS, and the lists it makes. `recommend: auto` is short for `recommend: {auto: true}`."""

    auto: bool = False
    """Choose rank, regularization and alpha on real rows (stage featurize): what is set here is tried first."""
    rank: int = Field(default=32, ge=1)
    """Length of a factor."""
    k: int = Field(default=20, ge=1)
    """Items per user."""
    regularization: float = Field(default=0.1, ge=0)
    """L2 penalty; Spark multiplies it by each entity's number of ratings."""
    alpha: float = Field(default=1.0, gt=0)
    """Confidence of an interaction: 1 + alpha * log(1 + weight)."""
    iterations: int = Field(default=10, ge=1)
    """Of both sides in turn."""
    exclude_seen: bool = True
    """Leave out what the user already has."""

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, data: Any) -> Any:
        return {"auto": True} if data == "auto" else data
