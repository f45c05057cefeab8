"""Save and load checkpoints and trained generators as safetensors and JSON, never as pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.optim import Optimizer

from synthspark.errors import LakeError
from synthspark.profiles.tokens import TokenEncoding
from synthspark.texts.pieces import TextEncoding
from synthspark.training import classics, storage
from synthspark.training.task import TrainingTask
from synthspark_models import (
    AutoregressiveGenerator,
    BagShape,
    BehaviourGenerator,
    QueryWriter,
    SearchTower,
    TableShape,
    Writer,
)

WEIGHTS, TOKENS, TEXTS = "model.safetensors", "tokens.json", "texts.json"
SIZES: dict[str, tuple[str, ...]] = {
    **classics.SIZES,
    "autoregressive": ("hidden", "layers", "dropout", "max_embedding"),
    "writer": ("hidden", "embedding", "dropout"),
    "tower": ("dimensions",),
    "query_writer": ("embedding", "hidden", "dropout"),
    "behaviour": ("noise_dim", "hidden", "dropout", "attribute_dropout", "max_history", "token_dropout"),
}
"""Network -> settings that its generator is built from; they are stored in model.json."""


def build_generator(network: str, table: TableShape, rank: int, settings: Mapping[str, Any]) -> nn.Module:
    """Build the generator of a network. network: its name in the configuration."""
    if network == "autoregressive":
        return AutoregressiveGenerator(
            table.cardinalities,
            int(settings["hidden"]),
            int(settings["layers"]),
            float(settings["dropout"]),
            int(settings["max_embedding"]),
        )
    if network == "writer":
        sizes = (int(settings["hidden"]), int(settings["embedding"]), float(settings["dropout"]))
        return Writer(table, int(settings["pieces"]), *sizes)
    if network == "query_writer":
        widths = (int(settings["embedding"]), int(settings["hidden"]), float(settings["dropout"]))
        return QueryWriter(int(settings["pieces"]), *widths)
    if network == "tower":
        return SearchTower(table.bags[0].vocabulary, int(settings["dimensions"]))
    if network in classics.SIZES:
        return classics.build_generator(network, table, settings)
    return BehaviourGenerator(
        table,
        rank,
        int(settings["noise_dim"]),
        int(settings["hidden"]),
        float(settings["dropout"]),
        float(settings["attribute_dropout"]),
        int(settings["max_history"]),
        float(settings["token_dropout"]),
    )


def settings_of(task: TrainingTask) -> dict[str, Any]:
    """Return the settings that a task's generator is built from, in addition to its table."""
    pieces = {"pieces": task.num_pieces} if task.num_pieces else {}
    return {name: task.setting(name) for name in SIZES[task.network]} | pieces


def table_of(task: TrainingTask) -> TableShape:
    """Return the shape of the rows of a task's generator."""
    bags = tuple(BagShape(len(bag.columns), len(bag.weights) - 1) for bag in task.bags)
    return TableShape(tuple(task.cardinalities), len(task.number_columns), bags)


def save_checkpoint(
    task: TrainingTask, epoch: int, modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> None:
    """Save everything needed to resume after `epoch` epochs; the JSON that points to it is written last."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"{name}/{k}": v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer:{name}/{index}/{k}": v.detach().cpu().contiguous() for k, v in state.items()}
    before = _checkpoint(task)
    file = f"checkpoint-{epoch:04d}.safetensors"
    storage.write(f"{task.output_url}/{file}", save_tensors(tensors))
    pointer = {"epoch": epoch, "file": file, "task": task.fingerprint()}
    storage.write(f"{task.output_url}/checkpoint.json", json.dumps(pointer).encode())
    if before is not None and before["file"] != file:
        storage.remove(f"{task.output_url}/{before['file']}")


def restore_checkpoint(
    task: TrainingTask, modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> int:
    """Load the last checkpoint with the task's fingerprint; returns the number of epochs done, 0 if there is none."""
    pointer = _checkpoint(task)
    if pointer is None:
        return 0
    tensors = load_tensors(storage.read(f"{task.output_url}/{pointer['file']}"))
    for name, module in modules.items():
        prefix = f"{name}/"
        module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    for name, optimizer in optimizers.items():
        prefix = f"optimizer:{name}/"
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            if key.startswith(prefix):
                index, _, part = key.removeprefix(prefix).partition("/")
                state.setdefault(int(index), {})[part] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(pointer["epoch"])


def save_generator(
    task: TrainingTask, generator: nn.Module, history: list[dict[str, Any]], privacy: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Write model.safetensors and model.json; returns the content of model.json. privacy: guarantee of DP training."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in generator.state_dict().items()}
    data = save_tensors(tensors)
    meta = {
        "name": task.name,
        "network": task.network,
        "table": asdict(table_of(task)),
        "rank": len(task.factor_columns),
        "settings": settings_of(task),
        "code_columns": task.code_columns,
        "number_columns": task.number_columns,
        "token_columns": task.token_columns,
        "piece_columns": task.piece_columns,
        "factor_scale": task.factor_scale,
        "seed": task.seed,
        "task": task.fingerprint(),
        "hyper": task.hyper,
        "history": history,
        "differential_privacy": privacy,
        "sha256": hashlib.sha256(data).hexdigest(),
        "versions": {p: version(p) for p in ("synthspark", "torch", "safetensors")},
    }
    storage.write(f"{task.output_url}/{WEIGHTS}", data)
    storage.write(f"{task.output_url}/model.json", json.dumps(meta, indent=1).encode())
    return meta


def save_tokens(url: str, encoding: TokenEncoding) -> None:
    """Save the token encoding of a generator in its folder, before training."""
    storage.write(f"{url}/{TOKENS}", json.dumps(encoding.to_json()).encode())


def save_texts(url: str, encoding: TextEncoding) -> None:
    """Save the text encoding of a writer in its folder, before training."""
    storage.write(f"{url}/{TEXTS}", json.dumps(encoding.to_json()).encode())


def load_texts(url: str) -> TextEncoding:
    """Load the text encoding of a writer."""
    return TextEncoding.from_json(json.loads(storage.read(f"{url}/{TEXTS}")))


def load_tokens(url: str) -> TokenEncoding:
    """Load the token encoding of a generator."""
    return TokenEncoding.from_json(json.loads(storage.read(f"{url}/{TOKENS}")))


def read_weights(url: str, sha256: str) -> bytes:
    """Read the weights of a model. Raises LakeError if their SHA-256 is not the recorded one."""
    data = storage.read(f"{url}/{WEIGHTS}")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise LakeError(f"model {url}: {WEIGHTS} is damaged (its sha256 is not the recorded one); train again")
    return data


def load_generator(url: str) -> tuple[nn.Module, dict[str, Any]]:
    """Load a generator in evaluation mode and its model.json. Raises LakeError if the weights are damaged."""
    meta: dict[str, Any] = json.loads(storage.read(f"{url}/model.json"))
    data = read_weights(url, meta["sha256"])
    shape = meta["table"]
    bags = tuple(BagShape(**bag) for bag in shape["bags"])
    table = TableShape(tuple(shape["cardinalities"]), shape["num_numeric"], bags)
    generator = build_generator(meta["network"], table, meta["rank"], meta["settings"])
    generator.load_state_dict(load_tensors(data))
    return generator.eval(), meta


def _checkpoint(task: TrainingTask) -> dict[str, Any] | None:
    url = f"{task.output_url}/checkpoint.json"
    if not storage.exists(url):
        return None
    pointer: dict[str, Any] = json.loads(storage.read(url))
    return pointer if pointer["task"] == task.fingerprint() else None
