"""How fast a card could be: the operations and bytes that one env step needs, against what the card can do."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from mjx_skillmimic.envs import options as env_options
from mjx_skillmimic.imitation.observation import observation_layout
from mjx_skillmimic.learning.options import PPOOptions, from_mapping
from mjx_skillmimic.model.humanoid import NUM_DOFS
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.motion import columns

FLOAT = 4  # bytes


@dataclasses.dataclass(frozen=True)
class Card:
    """Ceilings: bytes/s of a large copy, float operations/s outside and inside the matrix units (float32 data)."""

    name: str
    bytes_per_s: float
    vector: float
    matrix: float


# Measured for a copy and for large products; the vector units' figure is NVIDIA's.
CARDS = {
    "h200": Card("H200", 4.3e12, 67e12, 380e12),
    "h200-bf16": Card("H200, products in bfloat16", 4.3e12, 67e12, 780e12),
}


@dataclasses.dataclass(frozen=True)
class Work:
    """What a part of one env step needs of one world: float operations, bytes to and from memory; matrix: whether the
    operations are large products."""

    name: str
    flops: float
    bytes: float
    matrix: bool = False

    def seconds(self, card: Card) -> float:
        """The least time on a card, all of it busy with this part: the longer of computing and moving."""
        return max(self.flops / (card.matrix if self.matrix else card.vector), self.bytes / card.bytes_per_s)

    def bound(self, card: Card) -> str:
        """What `seconds` is made of: "matrix", "vector" or "memory"."""
        computing = self.flops / (card.matrix if self.matrix else card.vector)
        return "memory" if self.bytes / card.bytes_per_s > computing else "matrix" if self.matrix else "vector"


def physics_work(model: Any, substeps: int, contacts: float, rows: float, iterations: float) -> list[Work]:
    """A control step of an `mujoco.MjModel` by the fused kernels' algorithm (docs/physics_fused.md).

    contacts of a world, rows: active columns of the solver's system, iterations of Newton's method, all means. Bytes
    are those that must cross between launches: coordinates in and out once a control step; once a physics step the 54
    floats a joint that the first kernel leaves, geom poses, and 60 floats a contact, each written and read. Operations:
    recursions by 6-vectors and 6 × 6 inertias along the tree; unit forces carried up two chains and their products; in
    every iteration a Cholesky factorisation of the active system and products with the contact matrix.
    """
    blocks, height = model.nv / 3, max(_ancestors(model)) / 3
    state = FLOAT * 2 * (model.nq + 2 * model.nv + 3 * model.nbody)
    smooth = model.nbody * 10 * 6 * 6 + blocks * (2 * 3 * 6 * 6 + 3 * 2 * 21 + 4 * 3 * 6)
    kept = FLOAT * 2 * (54 * blocks + 12 * model.ngeom)
    matrix = 3 * contacts * height * 2 * 36 + contacts**2 / 2 * height / 2 * 54
    newton = iterations * (rows**3 / 3 + 9 * contacts**2 * 3 + 2 * 9 * contacts**2)
    return [
        Work("physics: coordinates in and out", 0.0, state),
        Work("physics: kinematics, bias forces, articulated bodies", substeps * smooth, substeps * kept),
        Work("physics: contact matrix", substeps * matrix, substeps * FLOAT * 2 * 60 * contacts),
        Work("physics: Newton's method", substeps * newton, 0.0),
    ]


def learning_work(options: PPOOptions, observation: int, action: int, reference: int) -> list[Work]:
    """Observation, reward, networks and gradient steps of one env step.

    reference: floats of a reference row. The rollout evaluates the actor once and the critic twice (before and after a
    reset); a gradient step costs three times the operations of an evaluation. Activations go to memory once and are
    read once, forward and backward, observations are read once an epoch; Adam reads and writes parameters, gradients
    and both moments in every gradient step.
    """
    actor = _layers(observation, options.actor_hidden, action)
    critic = _layers(observation, options.critic_hidden, 1)
    acting = 2 * (_products(actor) + 2 * _products(critic))
    learning = 3 * 2 * (_products(actor) + _products(critic))
    units = sum(actor[1:]) + sum(critic[1:])
    parameters = _products(actor) + _products(critic) + units
    epochs = options.num_epochs
    adam = FLOAT * 8 * parameters * epochs / options.minibatch_size
    per_epoch = FLOAT * (observation + 2 * action + 2 * 2 * units)
    return [
        Work("observation and reward", 0.0, FLOAT * (2 * observation + reference + action)),
        Work("rollout: networks", acting, FLOAT * (2 * observation + 2 * (units + sum(critic[1:]))), matrix=True),
        Work("update: networks, forward and backward", epochs * learning, epochs * per_epoch, matrix=True),
        Work("update: Adam", 12 * parameters * epochs / options.minibatch_size, adam),
    ]


def config_work(config: ConfigDict, contacts: float, rows: float, iterations: float) -> list[Work]:
    """All parts of an env step of a BallPlay configuration; the means are those of `physics_work`."""
    chosen = env_options.from_config(config)
    scene = build_scene(chosen.scene)
    observed = observation_layout(chosen.observation).size
    learning = learning_work(from_mapping(config.ppo), observed, NUM_DOFS, columns.NUM_COLUMNS)
    return [*physics_work(scene.model, scene.substeps, contacts, rows, iterations), *learning]


def roofline(work: Sequence[Work], card: Card) -> str:
    """The parts as Markdown, their times on a card, and the env steps a second that their sum allows.

    Parts are taken one after another, as they depend on each other.
    """
    lines = [
        f"| part, one env step of one world on {card.name} | MFLOP | kB | ns | bound by |",
        "|---|---:|---:|---:|---|",
    ]
    for part in work:
        lines.append(
            f"| {part.name} | {part.flops / 1e6:.2f} | {part.bytes / 1e3:.1f} | {part.seconds(card) * 1e9:.1f} "
            f"| {part.bound(card)} |"
        )
    acting = [part for part in work if not part.name.startswith("update")]
    for title, parts in (
        ("physics only", [part for part in work if part.name.startswith("physics")]),
        ("rollout", acting),
        ("training", list(work)),
    ):
        seconds = sum(part.seconds(card) for part in parts)
        lines.append(
            f"| **{title}: at most {1 / seconds / 1e3:,.0f} k env steps/s** | "
            f"{sum(p.flops for p in parts) / 1e6:.2f} | {sum(p.bytes for p in parts) / 1e3:.1f} | "
            f"{seconds * 1e9:.1f} | |"
        )
    return "\n".join(lines) + "\n"


def _ancestors(model: Any) -> list[int]:
    """For every degree of freedom the number of entries of its row of the mass matrix: itself and its ancestors."""
    counts: list[int] = []
    for parent in model.dof_parentid:
        counts.append(1 + (counts[parent] if parent >= 0 else 0))
    return counts


def _layers(inputs: int, hidden: Sequence[int], outputs: int) -> tuple[int, ...]:
    return (inputs, *hidden, outputs)


def _products(layers: Sequence[int]) -> int:
    """Multiplications of one evaluation: the number of weights."""
    return sum(a * b for a, b in itertools.pairwise(layers))
