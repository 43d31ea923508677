"""The published checkpoints: rl_games' layout with the networks of skillmimic.md §8.2 and §10.3 (§8.5)."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from mjx_skillmimic.interop.torch_file import CheckpointError, TorchFile
from mjx_skillmimic.learning.networks import Params
from mjx_skillmimic.learning.normalizer import RunningMoments
from mjx_skillmimic.motion.pt_reader import shape_text
from mjx_skillmimic.motion.torch_pickle import Tensor

Kind = Literal["llc", "hlc"]

_NETWORK = "a2c_network"
_HEADS: dict[Kind, str] = {"llc": "mu", "hlc": "logits"}
_WEIGHT = re.compile(rf"{_NETWORK}\.actor_mlp\.([0-9]{{1,4}})\.weight")


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """What acting needs of a published checkpoint, in our names and orientation.

    kind: "llc", a policy that acts on joints, or "hlc", one that chooses skills. obs_size, hidden, action_size: widths;
    of an "hlc" action_size counts the choices. moments: statistics of the observations.
    actor: {"params": {"body": {"hidden_0": {"kernel" (in, out), "bias"}, …}, "mean" or "logits": …}}, float32, and
    "log_std" of an "llc". origin: file name, SHA-256 and size; epoch and frame (env steps) if they are there.
    """

    kind: Kind
    obs_size: int
    hidden: tuple[int, ...]
    action_size: int
    actor: Params
    moments: RunningMoments
    origin: Mapping[str, Any]

    def __str__(self) -> str:
        what, unit = {"llc": ("low-level", "actions"), "hlc": ("high-level", "choices")}[self.kind]
        layers = "-".join(map(str, self.hidden))
        return f"a {what} policy of {self.obs_size} observations, hidden layers {layers}, {self.action_size} {unit}"


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """The policy in a checkpoint of the published code. Critic, value statistics and optimiser are passed over.

    Raises CheckpointError naming file, found and expected: for another layout, shapes that do not fit together,
    numbers that are not finite, a damaged file. Nothing in the file is executed.
    """
    file = TorchFile(path)
    model, statistics = _section(file, "model"), _section(file, "running_mean_std")
    kind = _kind(file, model)
    moments = _moments(file, statistics)
    obs_size = len(moments.mean)
    layers = _layer_numbers(file, model)
    names = {f"actor_mlp.{n}": f"body/hidden_{i}" for i, n in enumerate(layers)}
    names[_HEADS[kind]] = "mean" if kind == "llc" else "logits"
    widths = [obs_size, *(_outputs(file, model, f"{_NETWORK}.{name}.weight") for name in names)]
    actor: dict[str, np.ndarray] = {}
    for (name, ours), (inputs, outputs) in zip(names.items(), itertools.pairwise(widths), strict=True):
        weight = _numbers(file, model, f"{_NETWORK}.{name}.weight", (outputs, inputs))
        actor[f"params/{ours}/kernel"] = np.ascontiguousarray(weight.T, np.float32)
        actor[f"params/{ours}/bias"] = _numbers(file, model, f"{_NETWORK}.{name}.bias", (outputs,)).astype(np.float32)
    if kind == "llc":
        actor["params/log_std"] = _numbers(file, model, f"{_NETWORK}.sigma", widths[-1:]).astype(np.float32)
    params = unflatten_dict(actor, sep="/")
    return Checkpoint(kind, obs_size, tuple(widths[1:-1]), widths[-1], params, moments, _origin(file))


def _section(file: TorchFile, name: str) -> dict[Any, Any]:
    found = file.tree.get(name) if isinstance(file.tree, dict) else None
    if not isinstance(found, dict):
        there = _listed(file.tree) if isinstance(file.tree, dict) else type(file.tree).__name__
        raise CheckpointError(file.path, f"no dictionary {name!r} among {there}", "a published checkpoint")
    return found


def _kind(file: TorchFile, model: dict[Any, Any]) -> Kind:
    kinds: list[Kind] = [kind for kind, head in _HEADS.items() if f"{_NETWORK}.{head}.weight" in model]
    if len(kinds) != 1:
        found = f"a model with {_listed(model)}"
        expected = f"one of {', '.join(f'{_NETWORK}.{head}.weight ({kind})' for kind, head in _HEADS.items())}"
        raise CheckpointError(file.path, found, expected)
    return kinds[0]


def _layer_numbers(file: TorchFile, model: dict[Any, Any]) -> list[int]:
    """0, 2, 4, …: torch counts the ReLU between two layers."""
    numbers = sorted(int(match[1]) for name in model if (match := _WEIGHT.fullmatch(str(name))))
    if not numbers or numbers != list(range(0, 2 * len(numbers), 2)):
        found = f"layers {', '.join(map(str, numbers)) or 'none'} of {_NETWORK}.actor_mlp"
        raise CheckpointError(file.path, found, "0, 2, 4, …, each followed by a ReLU")
    return numbers


def _outputs(file: TorchFile, model: dict[Any, Any], name: str) -> int:
    """The rows of a weight."""
    tensor = _tensor(file, model, name)
    if len(tensor.size) != 2 or 0 in tensor.size:
        raise CheckpointError(file.path, f"{name} of shape {shape_text(tensor.size) or '()'}", "two axes (out, in)")
    return tensor.size[0]


def _tensor(file: TorchFile, section: dict[Any, Any], name: str) -> Tensor:
    if not isinstance(tensor := section.get(name), Tensor):
        raise CheckpointError(file.path, f"no tensor {name!r} among {_listed(section)}", "it there")
    return tensor


def _listed(section: dict[Any, Any]) -> str:
    """The keys of a dictionary from a file, without control characters and cut to a readable length."""
    return ", ".join(map(str, section)).encode("unicode_escape").decode()[:300] or "nothing"


def _numbers(file: TorchFile, section: dict[Any, Any], name: str, shape: tuple[int, ...] | list[int]) -> np.ndarray:
    """A tensor in float64 after checking that it is there, of that shape, floating and finite in float32."""
    tensor = _tensor(file, section, name)
    if tensor.size != tuple(shape):
        found, expected = (shape_text(tuple(size)) or "()" for size in (tensor.size, shape))
        raise CheckpointError(file.path, f"{name} of shape {found}", f"shape {expected}")
    values = file.array(tensor)
    if values.dtype.kind != "f":
        raise CheckpointError(file.path, f"{name} of {values.dtype.name}", "floating-point numbers")
    with np.errstate(over="ignore", invalid="ignore"):
        bad = np.count_nonzero(~np.isfinite(values.astype(np.float32)))
    if bad:
        raise CheckpointError(file.path, f"{name} with {bad} of {values.size} numbers not finite", "finite numbers")
    return values.astype(np.float64)


def _moments(file: TorchFile, section: dict[Any, Any]) -> RunningMoments:
    """The statistics, which mean the same there as here: §8.3. float64 becomes a float32 and what it leaves over."""
    size = _tensor(file, section, "running_mean").size
    if len(size) != 1 or size == (0,):
        raise CheckpointError(file.path, f"running_mean of shape {shape_text(size) or '()'}", "one axis")
    mean = _numbers(file, section, "running_mean", size)
    var = _numbers(file, section, "running_var", size)
    count = _numbers(file, section, "count", ())
    if (var < 0.0).any() or count < 1.0:
        raise CheckpointError(file.path, f"a variance of {var.min():g}, a count of {count:g}", "≥ 0 and ≥ 1")
    parts = {}
    for name, value in {"mean": mean, "var": var, "count": count}.items():
        high = value.astype(np.float32)
        parts[name], parts[f"{name}_low"] = jnp.asarray(high), jnp.asarray(value - high, jnp.float32)
    return RunningMoments(**parts, frozen=jnp.zeros(size, bool))


def _origin(file: TorchFile) -> dict[str, Any]:
    data = Path(file.path).read_bytes()
    origin: dict[str, Any] = {
        "file": Path(file.path).name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "layout": "rl_games",
    }
    counters = {name: file.tree.get(name) for name in ("epoch", "frame")}
    return origin | {name: value for name, value in counters.items() if type(value) is int and abs(value) < 1 << 63}
