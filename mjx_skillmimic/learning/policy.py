"""A trained policy as a function, and as one file without pickle."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from mjx_skillmimic import npz
from mjx_skillmimic.learning import heads, normalizer
from mjx_skillmimic.learning.heads import GAUSSIAN, HEADS, ActionHead
from mjx_skillmimic.learning.layers import Params
from mjx_skillmimic.learning.normalizer import RunningMoments
from mjx_skillmimic.learning.options import PPOOptions

Policy = Callable[[Array, Array | None], Array]

_FORMAT = "mjx_skillmimic policy"
_VERSION = 1
_HEADER = "header"
EXTRA = "extra/"  # begins the names of what travels with a policy
_SIZES = ("obs_size", "action_size", "hidden", "action_limit")


class PolicyFormatError(ValueError):
    """A policy file that is not what `save_policy` writes."""

    def __init__(self, path: Path, found: str, expected: str):
        super().__init__(f"{path}: found {found}, expected {expected}")
        self.path, self.found, self.expected = path, found, expected


@dataclasses.dataclass(frozen=True, eq=False)
class PolicyBundle:
    """All that acting needs: the actor's parameters, the observation statistics and the sizes.

    Called, it acts: `bundle(obs (..., D))` is the mean action (..., A), `bundle(obs, rng)` a sample; see `policy`. A
    policy that chooses gives the likeliest choice (...) int32, or a drawn one.

    hidden: widths of the actor's hidden layers. action_size: components of an action, or choices. action_limit: actions
    are clamped to ±this; choices are not. metadata: anything that JSON holds (task, clip, steps, commit …), for people;
    the model card of a shipped policy. head: what the last layer means, a key of `learning.heads.HEADS`. extras: arrays
    by name that its environment needs to observe as in training, such as the encoder of its history.
    """

    actor: Params
    moments: RunningMoments
    hidden: tuple[int, ...]
    action_size: int
    action_limit: float = 1.0
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    head: str = GAUSSIAN.kind
    extras: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def obs_size(self) -> int:
        """Width of the observation."""
        return int(self.moments.mean.shape[0])

    def __call__(self, obs: Array, rng: Array | None = None) -> Array:
        return self.policy(deterministic=rng is None)(jnp.asarray(obs), rng)

    def policy(self, deterministic: bool = True) -> Policy:
        """`fn(obs (..., D), rng) -> action (..., A)` or choice (...), see `make_policy`."""
        head = HEADS[self.head]

        def act(obs: Array, rng: Array | None = None) -> Array:
            output, shared = self._output(obs)
            if deterministic:
                return head.bounded(head.mode(output), self.action_limit)
            if rng is None:
                raise ValueError("a stochastic policy needs an rng, got None")
            return head.bounded(head.sample(rng, output, shared), self.action_limit)

        return act

    def probabilities(self, obs: Array) -> Array:
        """Probabilities (..., A) of the choices. Raises ValueError for a policy that does not choose."""
        if HEADS[self.head].action_kind != "discrete":
            raise ValueError(f"the policy is {self.head}, expected one that chooses: only choices have probabilities")
        return jax.nn.softmax(self._output(jnp.asarray(obs))[0], axis=-1)

    def _output(self, obs: Array) -> tuple[Array, Any]:
        """The head's `output` and `shared`."""
        module = HEADS[self.head].actor(self.hidden, self.action_size)
        output, shared = module.apply(self.actor, normalizer.normalize(self.moments, obs))
        return jnp.asarray(output), shared


def make_policy(options: PPOOptions, params: Params, moments: RunningMoments, deterministic: bool = True) -> Policy:
    """`fn(obs (..., D) raw, rng) -> action (..., A)` in ±action_limit, from a training state's params and statistics.

    Deterministic: the mean; rng is not used and may be None. Otherwise one sample. Parameters that choose: the
    likeliest choice (...) int32, the first of equals, or one drawn. Pure; may be traced.
    """
    return bundle(options, params, moments).policy(deterministic)


def bundle(
    options: PPOOptions,
    params: Params,
    moments: RunningMoments,
    metadata: Mapping[str, Any] | None = None,
    extras: Mapping[str, np.ndarray] | None = None,
) -> PolicyBundle:
    """The part of a training state that acting needs: `bundle(options, state.params, state.obs_moments)`."""
    actor = params["actor"]
    head = heads.of_actor(actor)
    size, limit = int(actor["params"][head.layer]["bias"].shape[0]), options.action_limit
    return PolicyBundle(actor, moments, options.actor_hidden, size, limit, metadata or {}, head.kind, extras or {})


def save_policy(path: str | Path, policy: PolicyBundle, dtype: str = "float32") -> Path:
    """Writes one .npz, replacing an existing file only once the new one is complete; returns its path.

    dtype "float16" halves the size of the weights; the statistics keep float32. Raises ValueError for another dtype or
    for weights that are not finite in it.
    """
    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype is {dtype!r}, expected 'float32' or 'float16'")
    path = Path(path)
    flat = flatten_dict(policy.actor, sep="/")
    with np.errstate(over="ignore"):  # refused by name just below
        arrays: dict[str, Any] = {f"actor/{name}": np.asarray(x).astype(dtype) for name, x in flat.items()}
    for name, value in arrays.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{name} holds values that are not finite in {dtype}; {path} was not written")
    fields = dataclasses.fields(RunningMoments)
    arrays |= {f"moments/{field.name}": np.asarray(getattr(policy.moments, field.name)) for field in fields}
    arrays |= {f"{EXTRA}{name}": np.asarray(value) for name, value in policy.extras.items()}
    header = {"format": _FORMAT, "version": _VERSION, "metadata": dict(policy.metadata)}
    header |= {name: getattr(policy, name) for name in (*_SIZES, "head")}
    arrays[_HEADER] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return partial.replace(path)


def load_policy(path: str | Path) -> PolicyBundle:
    """Reads what `save_policy` wrote. Raises FileNotFoundError, or PolicyFormatError naming found and expected."""
    path = Path(path)
    try:
        arrays = npz.read_arrays(path)
    except npz.UnreadableError as error:
        raise PolicyFormatError(path, str(error), "an .npz policy") from error
    header = _header(path, arrays)
    hidden = tuple(int(width) for width in header["hidden"])
    obs_size, action_size = int(header["obs_size"]), int(header["action_size"])
    moments = _moments(path, arrays, obs_size)
    head = HEADS[header["head"]]
    actor = _actor(path, arrays, (obs_size, *hidden), action_size, head)
    limit, metadata = float(header["action_limit"]), header["metadata"]
    extras = {name.removeprefix(EXTRA): value for name, value in arrays.items() if name.startswith(EXTRA)}
    return PolicyBundle(actor, moments, hidden, action_size, limit, metadata, head.kind, extras)


def _header(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    try:
        header = npz.description(arrays, _HEADER, _FORMAT, _VERSION)
    except npz.DescriptionError as error:
        raise PolicyFormatError(path, error.found, error.expected) from error
    if missing := [name for name in (*_SIZES, "metadata") if name not in header]:
        raise PolicyFormatError(path, f"a header without {', '.join(missing)}", "all sizes")
    sizes = [header["obs_size"], header["action_size"], *_as_list(header["hidden"])]
    if not all(type(size) is int and size > 0 for size in sizes) or type(header["action_limit"]) not in (int, float):
        raise PolicyFormatError(path, f"sizes {', '.join(f'{n} {header[n]!r}' for n in _SIZES)}", "positive numbers")
    if not isinstance(header["metadata"], dict):
        raise PolicyFormatError(path, f"metadata of type {type(header['metadata']).__name__}", "an object")
    # Files of before there were choices are Gaussian and do not say so.
    if header.setdefault("head", GAUSSIAN.kind) not in list(HEADS):
        raise PolicyFormatError(path, f"head {header['head']!r}", f"one of {', '.join(HEADS)}")
    return header


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [None]


def _array(path: Path, arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The named array, after checking that it is there, finite and of that shape."""
    if name not in arrays:
        raise PolicyFormatError(path, f"no array {name!r}", f"one of shape {shape}")
    value = arrays[name]
    if value.shape != shape:
        raise PolicyFormatError(path, f"{name} of shape {value.shape}", f"shape {shape}")
    if value.dtype.kind not in "fb" or not np.isfinite(value).all():
        raise PolicyFormatError(path, f"{name} with values that are no finite numbers", "finite numbers")
    return value


def _moments(path: Path, arrays: dict[str, np.ndarray], obs_size: int) -> RunningMoments:
    fields = dataclasses.fields(RunningMoments)
    shapes = {field.name: () if field.name.startswith("count") else (obs_size,) for field in fields}
    values = {name: _array(path, arrays, f"moments/{name}", shape) for name, shape in shapes.items()}
    return RunningMoments(**{name: jnp.asarray(value) for name, value in values.items()})


def _actor(
    path: Path, arrays: dict[str, np.ndarray], widths: tuple[int, ...], action_size: int, head: ActionHead
) -> Params:
    shapes = {f"params/{name}": shape for name, shape in head.other_shapes(action_size).items()}
    for index, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        shapes[f"params/body/hidden_{index}/kernel"] = (inputs, outputs)
        shapes[f"params/body/hidden_{index}/bias"] = (outputs,)
    shapes[f"params/{head.layer}/kernel"] = (widths[-1], action_size)
    shapes[f"params/{head.layer}/bias"] = (action_size,)
    values = {
        name: jnp.asarray(_array(path, arrays, f"actor/{name}", shape), jnp.float32) for name, shape in shapes.items()
    }
    return unflatten_dict(values, sep="/")
