"""Where episodes start: the state of every reference frame, ready to be gathered into worlds (skillmimic.md §3.6)."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic.imitation.options import check_choices, check_positive
from mjx_skillmimic.kinematics import Coordinates
from mjx_skillmimic.model import depenetrate
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion import table
from mjx_skillmimic.physics import batch
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.physics.starts import settle_starts
from mjx_skillmimic.physics.state import body_state
from mjx_skillmimic.rotations import Array


@dataclasses.dataclass(frozen=True)
class StartOptions:
    """How a clip's frame becomes the state of a world.

    frame: None draws the start frame (§3.5); a number starts every episode there. joint_velocity, max_joint_speed,
    root_angular_velocity: as in `motion.table.initial_coordinates`; `reference` takes the published ones.
    lift_object, push_object, feet_depth, slop, max_push: what is corrected before the engine sees the state, as in
    `model.depenetrate.StartOptions`; `reference` corrects nothing. max_kick: m/s; with it every start is simulated for
    one control step when the environment is built (MuJoCo C); the ball gets more clearance where its speed would leave
    the clip's by more, and episodes drawn on a frame where no clearance helps start on the nearest one that does.

    sampling: "uniform" over the frames of the drawn clip, as published; "failure" more often where episodes score
    badly (`envs.sampling`), by score^`failure_power`, mixed with `uniform_share` of the uniform law; a finished episode
    moves the score of its bin by `score_rate`; `prioritise_labels` draws labels and clips that way as well.
    transition_probability: of an episode that starts in a frame of one clip and imitates another label's clip from a
    frame nearer than `transition_distance` m (`envs.transitions`).
    placement_probability: of an episode that starts before a ball on the floor is touched, and finds it elsewhere:
    at the end of a way that turns by up to `placement_turn` rad and is shifted by up to `placement_radius` m, with a
    reference that takes these up at a mean of no more than `placement_turn_rate` rad/s and `placement_speed` m/s, and
    walks at most 1 + `placement_stretch` times its way (`envs.placement`).
    seam_probability: of an episode that goes on behind the end of its clip, of a label of `seam_skills` (none given:
    of any), on a frame of the same label nearer than `seam_distance` m, for `seam_steps` in all (`envs.seams`).
    """

    frame: int | None = None
    joint_velocity: table.JointVelocity = "relative"
    max_joint_speed: float | None = 30.0
    root_angular_velocity: table.RootAngularVelocity = "body"
    lift_object: bool = True
    push_object: bool = True
    feet_depth: float | None = None
    slop: float = 0.002
    max_push: float = 0.12
    max_kick: float | None = 0.5
    sampling: Literal["uniform", "failure"] = "uniform"
    failure_power: float = 2.0
    uniform_share: float = 0.25
    score_rate: float = 0.05
    prioritise_labels: bool = False
    transition_probability: float = 0.0
    transition_distance: float = 0.3
    placement_probability: float = 0.0
    placement_turn: float = 1.0
    placement_turn_rate: float = 0.5
    placement_radius: float = 1.0
    placement_speed: float = 0.4
    placement_stretch: float = 1.0
    seam_probability: float = 0.0
    seam_distance: float = 0.35
    seam_steps: int = 240
    seam_skills: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "max_joint_speed", "max_push", "max_kick", "failure_power", "transition_distance")
        check_positive(
            self, "placement_turn_rate", "placement_speed", "placement_stretch", "seam_distance", "seam_steps"
        )
        for name, lowest in (
            ("uniform_share", "(0"),
            ("score_rate", "(0"),
            ("transition_probability", "[0"),
            ("placement_probability", "[0"),
            ("seam_probability", "[0"),
        ):
            value = getattr(self, name)
            if not 0 <= value <= 1 or (value == 0 and lowest == "(0"):
                raise ValueError(f"StartOptions.{name}: expected a number in {lowest}, 1], got {value!r}")
        for name in ("placement_turn", "placement_radius"):
            if not (value := getattr(self, name)) >= 0:
                raise ValueError(f"StartOptions.{name}: expected zero or a positive number, got {value!r}")
        if self.sampling != "uniform" and self.frame is not None:
            raise ValueError(
                f"StartOptions.sampling: {self.sampling!r} draws start frames, but frame fixes them at {self.frame}"
            )

    @classmethod
    def reference(cls) -> StartOptions:
        return cls(
            joint_velocity="published",
            max_joint_speed=None,
            root_angular_velocity="published",
            lift_object=False,
            push_object=False,
            max_kick=None,
        )

    @classmethod
    def default(cls) -> StartOptions:
        return cls()


@struct.dataclass
class Starts:
    """F start states: qpos (F, nq), qvel (F, nv), the body states that belong to them, without contacts, and frame (F,)
    int32: the frame of the same clip that an episode drawn on this one starts from."""

    qpos: Array
    qvel: Array
    body: BodyState
    frame: Array

    def body_state(self, row: Array) -> BodyState:
        """The body states (N, …) of rows (N,)."""
        return jax.tree.map(lambda x: x[row], self.body)


def build_starts(scene: Scene, motions: table.MotionTable, options: StartOptions, targets: np.ndarray) -> Starts:
    """Computes the start state of every frame of the table, once, on the host.

    targets: (K, 156) rad, PD targets that the kick is judged with.
    """
    lengths = np.asarray(motions.lengths)
    clip = np.repeat(np.arange(motions.num_clips), lengths)
    frame = np.concatenate([np.arange(length) for length in lengths])
    coordinates: Coordinates = table.initial_coordinates(
        motions,
        jnp.asarray(clip),
        jnp.asarray(frame),
        joint_velocity=options.joint_velocity,
        max_joint_speed=options.max_joint_speed,
        root_angular_velocity=options.root_angular_velocity,
    )
    raw_qpos, raw_qvel = (np.asarray(x) for x in scene.pack(*coordinates))
    corrections = depenetrate.StartOptions(
        **{field.name: getattr(options, field.name) for field in dataclasses.fields(depenetrate.StartOptions)}
    )
    usable = np.ones(len(frame), bool)
    if options.max_kick is None:
        corrected = depenetrate.depenetrate(scene, raw_qpos, corrections).qpos
    else:
        with _on_cpu():
            settled = settle_starts(scene, raw_qpos, raw_qvel, targets, corrections, tolerance=options.max_kick)
        corrected, usable = settled.qpos, settled.kick <= options.max_kick
    qpos, qvel = jnp.asarray(corrected, jnp.float32), jnp.asarray(raw_qvel, jnp.float32)
    body = jax.jit(lambda q, v: body_state(scene, batch.new_state(q, v, engine=None)))(qpos, qvel)
    usable &= np.asarray(motions.valid)
    return Starts(qpos, qvel, body, jnp.asarray(_nearest_usable(frame, lengths, usable)))


def _on_cpu() -> contextlib.AbstractContextManager[Any]:
    """MuJoCo C is called from the host: without a detour over an accelerator, unless JAX was told to have no CPU."""
    try:
        return jax.default_device(jax.devices("cpu")[0])
    except RuntimeError:
        return contextlib.nullcontext()


def _nearest_usable(frame: np.ndarray, lengths: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """For every frame (F,) the nearest usable one of its clip that may be drawn, in [2, T − 2]; else itself."""
    nearest = frame.astype(np.int32)
    end = np.cumsum(lengths)
    for first, last in zip(end - lengths, end, strict=True):
        allowed = frame[first:last][usable[first:last]]
        allowed = allowed[(allowed >= table.FIRST_START) & (allowed <= last - first - 2)]
        if len(allowed):
            distance = np.abs(frame[first:last, None] - allowed)
            nearest[first:last] = np.where(usable[first:last], frame[first:last], allowed[distance.argmin(axis=1)])
    return nearest
