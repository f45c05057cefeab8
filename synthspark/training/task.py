"""Description of a training task: plain data that is passed to processes as JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

Hyper = dict[str, float | int | str | bool]

ADVERSARIAL: Hyper = {
    "learning_rate": 2e-4,
    "discriminator_learning_rate": 2e-4,
    "gradient_clip": 5.0,
    "initialisation": "uniform",
    "discriminator_steps": 1,
    "steps_per_epoch": 0,
    "temperature": 0.5,
    "hidden": 256,
    "noise_dim": 64,
}
"""Settings common to the classic adversarial networks."""
MINIMAX: Hyper = ADVERSARIAL | {"label_smoothing": 0.1, "spectral_norm": False}

DEFAULTS: dict[str, Hyper] = {
    "gan": MINIMAX,
    "dcgan": MINIMAX | {"initialisation": "normal", "spectral_norm": True},
    "infogan": MINIMAX
    | {"information_weight": 1.0, "categorical_codes": 1, "categories_per_code": 10, "continuous_codes": 2},
    "wgan_gp": ADVERSARIAL | {"discriminator_steps": 5, "gradient_penalty": 10.0},
    "autoregressive": {
        "learning_rate": 4e-3,
        "gradient_clip": 1.0,
        "weight_decay": 1e-4,
        "steps_per_epoch": 0,
        "dropout": 0.25,
        "hidden": 256,
        "layers": 2,
        "max_embedding": 64,
        "patience": 0,
        "adversarial_weight": 0.0,
        "adversarial_every": 4,
        "discriminator_learning_rate": 1e-3,
        "spectral_norm": True,
        "temperature": 1.0,
    },
    "writer": {
        "learning_rate": 4e-3,
        "gradient_clip": 1.0,
        "weight_decay": 1e-4,
        "steps_per_epoch": 0,
        "dropout": 0.4,
        "hidden": 256,
        "embedding": 128,
        "patience": 4,
    },
    "query_writer": {
        "learning_rate": 4e-3,
        "gradient_clip": 2.0,
        "steps_per_epoch": 0,
        "hidden": 160,
        "embedding": 96,
        "dropout": 0.2,
    },
    "tower": {"learning_rate": 2e-3, "gradient_clip": 5.0, "steps_per_epoch": 0, "dimensions": 96},
    "behaviour": {
        "learning_rate": 2e-3,
        "discriminator_learning_rate": 1e-3,
        "gradient_clip": 5.0,
        "adversarial_weight": 0.0,
        "adversarial_loss": "wgan_gp",
        "adversarial_every": 16,
        "discriminator_steps": 1,
        "steps_per_epoch": 0,
        "spectral_norm": False,
        "reconstruction_weight": 1.0,
        "ranking_weight": 0.1,
        "activity_weight": 0.1,
        "negatives": 1024,
        "attribute_dropout": 0.05,
        "token_dropout": 0.2,
        "max_history": 0,
        "dropout": 0.2,
        "hidden": 256,
        "noise_dim": 16,
    },
}
"""Network -> default settings; docs/networks.md describes them. steps_per_epoch 0 means a whole pass."""


ROLE_DEFAULTS: dict[str, Hyper] = {
    "behaviour_users": {"max_history": 8},  # some of their events may be known
}
"""Generator -> settings that differ from the defaults of its network."""


@dataclass(frozen=True)
class Bag:
    """A text or set in the feed."""

    columns: list[str]
    """Token columns."""
    weights: list[float]
    """Weights of the ids from 0 on; larger ids are hashed."""
    hashed_weight: float
    """Weight of hashed ids."""


@dataclass(frozen=True)
class TrainingTask:
    """One generator to train."""

    name: str
    """Name of the generator, e.g. profile_items, behaviour_users, texts_items."""
    network: str
    """A key of DEFAULTS."""
    feed_url: str
    """Directory of Parquet files, with a scheme."""
    num_rows: int
    code_columns: list[str]
    cardinalities: list[int]
    number_columns: list[str]
    output_url: str
    """Directory for checkpoints, history and the artifact."""
    epochs: int
    batch_size: int
    seed: int = 0
    device: str = "auto"
    bags: list[Bag] = field(default_factory=list)
    piece_columns: list[str] = field(default_factory=list)
    """Writers: columns of a row of pieces."""
    num_pieces: int = 0
    """Writers: number of piece ids."""
    factor_columns: list[str] = field(default_factory=list)
    """Behaviour: columns of the row's own factor."""
    factor_scale: float = 1.0
    """Behaviour: root mean square of the own factors; vectors are generated in this unit."""
    activity_column: str | None = None
    """Behaviour: column of the row's log activity."""
    positive_columns: list[str] = field(default_factory=list)
    """Behaviour: columns with indices into the counterpart table, -1 for none."""
    counterpart_url: str | None = None
    """Behaviour: factor table of the other side (`index`, `factor_..`, `log_popularity`)."""
    validation_url: str | None = None
    """Feed of validation rows for early stopping, if the network supports it."""
    validation_rows: int = 0
    init_from: str | None = None
    """Directory of an autoregressive model to start from."""
    dp: dict[str, float] | None = None
    """Settings of DP-SGD: noise_multiplier, max_grad_norm and delta; None for training without it."""
    hyper: Hyper = field(default_factory=dict)

    def setting(self, name: str) -> Any:
        """Return a setting as configured, else its default. Raises KeyError if the network does not have it."""
        defaults = DEFAULTS[self.network] | ROLE_DEFAULTS.get(self.name, {})
        return self.hyper.get(name, defaults[name])

    def has(self, name: str) -> bool:
        """Return whether the network has this setting."""
        return name in DEFAULTS[self.network]

    @property
    def columns(self) -> list[str]:
        """All columns to read from the feed."""
        activity = [self.activity_column] if self.activity_column else []
        own = [*self.code_columns, *self.number_columns, *self.token_columns, *self.piece_columns]
        return [*own, *self.factor_columns, *activity, *self.positive_columns]

    @property
    def token_columns(self) -> list[str]:
        """Token columns of all bags."""
        return [column for bag in self.bags for column in bag.columns]

    def fingerprint(self) -> str:
        """Return SHA-256 (16 hex digits) of everything that affects the weights; locations do not."""
        data = asdict(self)
        for place in ("feed_url", "output_url", "counterpart_url", "validation_url"):
            data.pop(place)
        for unused in (
            "dp",
            "bags",
            "piece_columns",
            "num_pieces",
        ):  # keeps the fingerprints of models that were trained before these settings existed
            if not data[unused]:
                data.pop(unused)
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the task as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> TrainingTask:
        """Create a task from the result of `to_json`."""
        data = json.loads(text)
        return cls(**data | {"bags": [Bag(**bag) for bag in data["bags"]]})
