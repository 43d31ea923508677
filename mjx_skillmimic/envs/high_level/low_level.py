"""The frozen low-level policy under a high-level task: what it was trained with, what it knows, and which one it is."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from mjx_skillmimic import pretrained
from mjx_skillmimic.envs import options
from mjx_skillmimic.physics.registry import resolve_engine
from mjx_skillmimic.rotations import Array

if TYPE_CHECKING:
    from mjx_skillmimic.learning.policy import PolicyBundle

CONFIG_FILE = "config.json"


@dataclasses.dataclass(frozen=True, eq=False)
class LowLevel:
    """A policy as an environment needs it.

    name, file: where it was found. bundle: its numbers. config: with what it was trained; options: its sections.
    labels: the skills that it has learned, as far as its card says, else none. sha256: of its numbers.
    """

    name: str
    file: Path
    bundle: PolicyBundle
    config: Any
    options: options.EnvironmentOptions
    labels: tuple[int, ...]
    sha256: str

    @property
    def parameters(self) -> tuple[Any, Any]:
        """What `act` needs and no program should hold as constants."""
        return self.bundle.actor, self.bundle.moments

    def act(self, parameters: tuple[Any, Any], obs: Array) -> Array:
        """The mean action (N, 156), clamped as the policy clamps it, for its observation (N, 902)."""
        actor, moments = parameters
        return dataclasses.replace(self.bundle, actor=actor, moments=moments).policy()(obs, None)

    def check_labels(self, labels: tuple[int, ...], unknown: str) -> None:
        """Raises ValueError for labels that cannot be told, or with `unknown` "refuse" that have not been learned."""
        known = self.options.observation.num_skills
        if not labels or min(labels) < 0 or max(labels) >= known:
            raise ValueError(f"task.labels = {labels}: expected at least one, each 0 to {known - 1}")
        missing = sorted(set(labels) - set(self.labels))
        if self.labels and missing and unknown == "refuse":
            raise ValueError(
                f"task.labels = {labels}: {self.name} has not learned {', '.join(map(str, missing))}, but "
                f"{', '.join(map(str, self.labels))}; set episode.unknown_labels = 'allow' to choose them all the same"
            )

    def physics_options(self, engine: str) -> dict[str, Any]:
        """Those that the policy was trained with in an engine, none if it was another."""
        trained = self.config.physics
        return dict(trained.options) if resolve_engine(trained.engine) == engine else {}


def load_low_level(source: str | Path) -> LowLevel:
    """A policy by name, run folder or file, with its configuration: beside it, in its card, or in its file.

    Raises:
        FileNotFoundError, PolicyFormatError, CardError: it cannot be read.
        ValueError: nothing says with which scene and observation it was trained, or its sizes are of another task.
    """
    file = pretrained.locate(source)
    bundle = pretrained.load(file)
    config = _config(file, bundle.metadata)
    chosen = options.from_config(config)
    from mjx_skillmimic.imitation.observation import observation_layout
    from mjx_skillmimic.model.humanoid import NUM_DOFS

    expected = (observation_layout(chosen.observation).size, NUM_DOFS)
    if (bundle.obs_size, bundle.action_size) != expected:
        raise ValueError(
            f"{file} takes {bundle.obs_size} observations and gives {bundle.action_size} actions, "
            f"expected {expected[0]} and {expected[1]} of a low-level policy"
        )
    labels = tuple(int(skill["label"]) for skill in bundle.metadata.get("skills", ()))
    return LowLevel(str(source), file, bundle, config, chosen, labels, numbers_sha256(bundle))


def numbers_sha256(bundle: PolicyBundle) -> str:
    """SHA-256 (hex) of a policy's numbers, whatever file they come from: names, shapes and float32 values of the actor
    and of the observation's statistics, and the action limit."""
    digest = hashlib.sha256(f"{bundle.hidden} {bundle.action_limit!r}".encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path((bundle.actor, bundle.moments)):
        array = np.ascontiguousarray(np.asarray(leaf), "<f4")
        digest.update(f"{jax.tree_util.keystr(path)} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def _config(file: Path, metadata: Mapping[str, Any]) -> Any:
    from mjx_skillmimic.config import from_json

    beside = file.with_name(CONFIG_FILE)
    if beside.is_file():
        return from_json(beside.read_text())
    if isinstance(metadata.get("config"), dict):
        return from_json(json.dumps(metadata["config"]))
    raise ValueError(
        f"{file} does not say with what it was trained: expected {CONFIG_FILE} beside it, a card, or metadata 'config'"
    )
