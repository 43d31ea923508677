"""The one door to physics: what every engine takes and gives, batched over worlds."""

from __future__ import annotations

from typing import Any, Protocol

from flax import struct

from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.rotations import Array

# Order of the contact-graph edges (paper §3.3): true pairwise contacts between its three nodes.
EDGES = ("hands_object", "body_object", "hands_body")


@struct.dataclass
class PhysicsState:
    """A batch of N worlds.

    qpos (N, nq), qvel (N, nv): MuJoCo's generalised coordinates of the scene. body_force (N, B, 3), object_force
    (N, 3): world-frame net contact force in N, the mean over the last control step (impulse ÷ control period).
    edges (N, 3) bool: contact during the last control step, in the order of `EDGES`. overflow (N,) int32: control steps
    since the world was created or reset in which the engine dropped contacts or constraint rows, or may have.
    engine: whatever the engine needs to continue exactly (warm starts, its own data); a pytree.
    """

    qpos: Array
    qvel: Array
    body_force: Array
    object_force: Array
    edges: Array
    overflow: Array
    engine: Any


@struct.dataclass
class BodyState:
    """Named state of a batch of worlds after a control step; everything above physics reads this and nothing else.

    World frame, quaternions wxyz, velocities of the body origins. body_* (N, 53, ·); dof_pos (N, 156) rad, 52 rotation
    vectors with norm ≤ π; dof_vel (N, 156) rad/s, relative, in each child's frame; object_* (N, ·), its angular
    velocity in the world frame; forces and edges as in `PhysicsState`.
    """

    body_pos: Array
    body_quat: Array
    body_lin_vel: Array
    body_ang_vel: Array
    dof_pos: Array
    dof_vel: Array
    object_pos: Array
    object_quat: Array
    object_lin_vel: Array
    object_ang_vel: Array
    body_force: Array
    object_force: Array
    edges: Array

    @property
    def root_pos(self) -> Array:
        return self.body_pos[..., 0, :]

    @property
    def root_quat(self) -> Array:
        return self.body_quat[..., 0, :]


class Physics(Protocol):
    """One control step of N worlds at a time. Methods are pure and may be traced by jit, scan and grad-free transforms.

    Worlds never influence one another. `scene` is the compiled model with its names.
    """

    name: str
    scene: Scene

    def init(self, qpos: Array, qvel: Array) -> PhysicsState:
        """N worlds at (N, nq), (N, nv), with zero forces and no edges."""

    def reset(self, state: PhysicsState, mask: Array, qpos: Array, qvel: Array) -> PhysicsState:
        """Puts the worlds where `mask` (N,) is true at the given coordinates, as `init` would; others are untouched."""

    def step(self, state: PhysicsState, target: Array) -> PhysicsState:
        """One control step with PD targets (N, 156) rad, held over the substeps."""
