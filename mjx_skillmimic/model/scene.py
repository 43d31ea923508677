"""The scene: humanoid, ball and floor as one compiled MuJoCo model with the implicit PD folded in."""

from __future__ import annotations

import dataclasses
from typing import Any

import mujoco
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import Coordinates, Skeleton, skeleton_from_model
from mjx_skillmimic.model import build, hands
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.joints import JointMap, Servos, servos_from_model
from mjx_skillmimic.model.options import PRESETS, SceneOptions
from mjx_skillmimic.rotations import Array

_ROOT_Q, _ROOT_V = 7, 6


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """A compiled scene.

    model: the compiled model; its actuators are the folded PD (docs/physics.md). spec: what it was compiled from, for
    engines that need a variant (use `spec.copy()`). kp (156,) N·m/rad and kd (156,) N·m·s/rad are the published gains
    of the 156 targets, before folding; servos: what the model really has, S actuated dofs (156, with light hands 86).
    joints: the map behind `pack` and `unpack`. effort_limit: N·m or None. humanoid_body_ids (53,) and object_body_id
    are MuJoCo's body ids. nq = 222 and nv = 168, with light hands 122 and 98.
    """

    options: SceneOptions
    model: mujoco.MjModel
    spec: mujoco.MjSpec
    skeleton: Skeleton
    kp: np.ndarray
    kd: np.ndarray
    servos: Servos
    joints: JointMap
    humanoid_body_ids: np.ndarray
    object_body_id: int

    @property
    def effort_limit(self) -> float | None:
        return self.options.effort_limit

    @property
    def object_radius(self) -> float:
        return self.options.ball_radius

    @property
    def timestep(self) -> float:
        return self.options.timestep

    @property
    def substeps(self) -> int:
        return self.options.substeps

    @property
    def control_dt(self) -> float:
        """Seconds between two actions."""
        return self.options.timestep * self.options.substeps

    def pack(
        self,
        root_pos: Array,
        root_quat: Array,
        joint_quat: Array,
        root_lin_vel: Array,
        root_ang_vel: Array,
        joint_vel: Array,
        object_pos: Array,
        object_quat: Array,
        object_lin_vel: Array,
        object_ang_vel: Array,
    ) -> tuple[Array, Array]:
        """qpos (..., nq) and qvel (..., nv) of `Coordinates`; NumPy or JAX, as it came.

        What a joint of the model cannot do is left out: a hinge gets the twist about its axis (docs/light_hands.md).
        """
        xp = rotations.namespace(root_pos, root_quat, joint_quat, object_pos)
        joint_positions, joint_velocities = self.joints.pack(joint_quat, joint_vel)
        qpos = [root_pos, root_quat, joint_positions, object_pos, object_quat]
        # MuJoCo's free joint has its angular velocity in the body's own frame.
        object_spin = rotations.rotate_inverse(object_quat, object_ang_vel)
        qvel = [root_lin_vel, root_ang_vel, joint_velocities, object_lin_vel, object_spin]
        return xp.concatenate(qpos, axis=-1), xp.concatenate(qvel, axis=-1)

    def unpack(self, qpos: Array, qvel: Array) -> Coordinates:
        """The inverse of `pack`, all 52 joints as quaternions: qpos (..., nq), qvel (..., nv)."""
        object_q = qpos[..., _ROOT_Q + self.joints.num_positions :]
        end = _ROOT_V + self.joints.num_velocities
        joint_quat, joint_vel = self.joints.unpack(self.joint_positions(qpos), qvel[..., _ROOT_V:end])
        object_v = qvel[..., end:]
        object_quat = object_q[..., 3:]
        return Coordinates(
            root_pos=qpos[..., :3],
            root_quat=qpos[..., 3:_ROOT_Q],
            joint_quat=joint_quat,
            root_lin_vel=qvel[..., :3],
            root_ang_vel=qvel[..., 3:_ROOT_V],
            joint_vel=joint_vel,
            object_pos=object_q[..., :3],
            object_quat=object_quat,
            object_lin_vel=object_v[..., :3],
            object_ang_vel=rotations.rotate(object_quat, object_v[..., 3:]),
        )

    def joint_positions(self, qpos: Array) -> Array:
        """The part of qpos (..., nq) that belongs to the humanoid's joints."""
        return qpos[..., _ROOT_Q : _ROOT_Q + self.joints.num_positions]

    def servo_positions(self, qpos: Array) -> Array:
        """Positions (..., S) rad of the servos at qpos (..., nq): rotation-vector components and hinge angles."""
        return self.joints.servo_positions(self.joint_positions(qpos))

    def servo_targets(self, target: Array) -> Array:
        """The servos' targets (..., S) rad, MuJoCo's `ctrl`, of PD targets (..., 156) rad."""
        return self.joints.servo_targets(target)


def build_scene(options: SceneOptions | None = None, **changes: Any) -> Scene:
    """Builds and compiles the scene of `options` (absent: the `default` preset), with `changes` on top.

    Raises TypeError for an unknown option, ValueError for a value that cannot work.
    """
    options = dataclasses.replace(options or PRESETS["default"], **changes)
    spec = build.load_humanoid()
    targets_kp, targets_kd = build.gains(spec)
    if options.hands == "hinge":
        hands.set_hinges(spec)
    build.set_physics(spec, options)
    build.set_humanoid_geoms(spec, options)
    build.add_floor(spec, options)
    build.add_ball(spec, options)
    build.add_basket(spec, options)
    kp, kd = build.fold_pd(spec, options)
    model = spec.compile()
    servos = servos_from_model(model, kp, kd)
    return Scene(
        options=options,
        model=model,
        spec=spec,
        skeleton=skeleton_from_model(model),
        kp=targets_kp,
        kd=targets_kd,
        servos=servos,
        joints=JointMap.of(servos),
        humanoid_body_ids=np.array([model.body(name).id for name in BODIES]),
        object_body_id=model.body(build.OBJECT).id,
    )
