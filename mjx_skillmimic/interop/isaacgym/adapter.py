"""The door to Isaac Gym: start states and PD targets in, states and net contact forces out, in our conventions.

Runs in Python 3.8 with NumPy and Isaac Gym. Isaac Gym's tensors hold the links' states of the last `simulate`, also
after root and dof states were set (skillmimic.md §4.3); so links are computed here, by the same forward kinematics as
everywhere, from root and dof states.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.interop.isaacgym.description import Description, read_description
from mjx_skillmimic.interop.isaacgym.simulation import IsaacGymError, build_simulation
from mjx_skillmimic.interop.isaacgym.tensors import GlobalTensor, like
from mjx_skillmimic.interop.trace import STATES
from mjx_skillmimic.kinematics import forward_kinematics


@dataclasses.dataclass(frozen=True)
class BodyState:
    """N worlds after a control step, float32: the counterpart of `physics.base.BodyState`, without pairwise edges.

    World frame, quaternions wxyz, velocities of the body origins. body_* (N, 53, ·); dof_pos (N, 156) rad, 52 rotation
    vectors with norm ≤ π; dof_vel (N, 156) rad/s, relative, in each child's frame; object_* (N, ·); body_force
    (N, 53, 3) and object_force (N, 3) in N.
    """

    body_pos: np.ndarray
    body_quat: np.ndarray
    body_lin_vel: np.ndarray
    body_ang_vel: np.ndarray
    dof_pos: np.ndarray
    dof_vel: np.ndarray
    object_pos: np.ndarray
    object_quat: np.ndarray
    object_lin_vel: np.ndarray
    object_ang_vel: np.ndarray
    body_force: np.ndarray
    object_force: np.ndarray

    @property
    def root_pos(self) -> np.ndarray:
        return self.body_pos[..., 0, :]

    @property
    def root_quat(self) -> np.ndarray:
        return self.body_quat[..., 0, :]

    def arrays(self) -> dict[str, np.ndarray]:
        """The state arrays of a trace, by name."""
        root = {name: getattr(self, name.replace("root", "body"))[..., 0, :] for name in STATES if "root" in name}
        return {name: root[name] if name in root else getattr(self, name) for name in STATES}


class IsaacGymPhysics:
    """N worlds in one Isaac Gym simulation; a control step is one `simulate` of 1/60 s with two substeps.

    Args:
        scene: a folder that `export_mjcf` wrote, or what `read_description` made of it.
        worlds: N. device: "cpu" or "cuda:N".
        velocity_frame: whose axes Isaac Gym's velocities of a spherical joint refer to, "child" or "parent"
            (`conventions.check` measures it).

    Raises as `build_simulation` and `read_description`.
    """

    name = "isaacgym"

    def __init__(
        self,
        scene: str | Path | Description,
        worlds: int,
        device: str = "cpu",
        velocity_frame: str = "child",
    ):
        if velocity_frame not in ("child", "parent"):
            raise ValueError(f"velocity_frame={velocity_frame!r}; expected 'child' or 'parent'")
        self.description = scene if isinstance(scene, Description) else read_description(scene)
        self.worlds, self.device, self.velocity_frame = worlds, device, velocity_frame
        self.simulation = simulation = build_simulation(self.description, worlds, device)
        gym, sim, gymtorch = simulation.gym, simulation.sim, simulation.gymtorch
        self._roots = GlobalTensor(gymtorch, gym.acquire_actor_root_state_tensor(sim), 13)
        self._dofs = GlobalTensor(gymtorch, gym.acquire_dof_state_tensor(sim), 2)
        self._links = GlobalTensor(gymtorch, gym.acquire_rigid_body_state_tensor(sim), 13)
        self._forces = GlobalTensor(gymtorch, gym.acquire_net_contact_force_tensor(sim), 3)
        for tensor, rows, what in (
            (self._roots, 2, "actors"),
            (self._dofs, len(self.description.dof_names), "dofs"),
            (self._links, len(self.description.bodies) + 1, "rigid bodies"),
            (self._forces, len(self.description.bodies) + 1, "net contact forces"),
        ):
            if tensor.rows != rows * worlds:
                raise IsaacGymError(
                    f"the simulation has {tensor.rows} {what}, expected {rows} in each of {worlds} worlds"
                )
        self._stepped: BodyState | None = None

    @property
    def control_dt(self) -> float:
        return self.description.control_dt

    def reset(self, start: Mapping[str, np.ndarray]) -> BodyState:
        """Puts every world into a start state: the arrays of `trace.STATES`, (N, ·). Forces are zero until a step.

        Raises ValueError for arrays of other shapes or values that are not finite.
        """
        start = {name: np.asarray(start[name], np.float32) for name in STATES}
        for name, shape in STATES.items():
            if start[name].shape != (self.worlds, *shape):
                raise ValueError(f"{name} has shape {start[name].shape}, expected {(self.worlds, *shape)}")
            if not np.isfinite(start[name]).all():
                raise ValueError(f"{name} of a start state is not finite")
        quat = rotations.normalize(start["root_quat"])
        ball = rotations.normalize(start["object_quat"])
        joints = rotations.exp(start["dof_pos"].reshape(self.worlds, -1, 3))
        speed = start["dof_vel"].reshape((*joints.shape[:-1], 3))
        roots, dofs = (np.zeros(tensor.tensor.shape, np.float32) for tensor in (self._roots, self._dofs))
        sim = self.simulation
        linear, angular = start["root_lin_vel"], start["root_ang_vel"]
        roots[sim.humanoids] = _row(start["root_pos"], quat, linear, angular)
        linear, angular = start["object_lin_vel"], start["object_ang_vel"]
        roots[sim.balls] = _row(start["object_pos"], ball, linear, angular)
        dofs[sim.dofs, 0] = rotations.log(joints).reshape(self.worlds, -1)
        dofs[sim.dofs, 1] = self._foreign_speed(joints, speed).reshape(self.worlds, -1)
        self._roots.write(roots)
        self._dofs.write(dofs)
        self._call("set_actor_root_state_tensor", self._roots.handle)
        self._call("set_dof_state_tensor", self._dofs.handle)
        self._stepped = None
        return self._body_state(roots, dofs, np.zeros((self._forces.rows, 3), np.float32))

    def step(self, target: np.ndarray) -> BodyState:
        """One control step with PD targets (N, 156) rad, rotation vectors, held over the substeps."""
        sim = self.simulation
        target = np.asarray(target, np.float32)
        if target.shape != sim.dofs.shape:
            raise ValueError(f"target has shape {target.shape}, expected {sim.dofs.shape}")
        everywhere = np.zeros(self._dofs.rows, np.float32)
        everywhere[sim.dofs] = target
        # kept alive until after `simulate`: Isaac Gym reads the memory, not a copy
        tensor = like(self._dofs.tensor, everywhere)
        self._call("set_dof_position_target_tensor", sim.gymtorch.unwrap_tensor(tensor))
        sim.gym.simulate(sim.sim)
        sim.gym.fetch_results(sim.sim, True)
        for kind in ("actor_root_state", "dof_state", "rigid_body_state", "net_contact_force"):
            getattr(sim.gym, f"refresh_{kind}_tensor")(sim.sim)
        self._stepped = self._body_state(self._roots.read(), self._dofs.read(), self._forces.read())
        return self._stepped

    def links(self) -> BodyState:
        """The state after a step with the bodies as Isaac Gym's own links have them.

        Raises IsaacGymError after a reset, when the links' tensor is stale.
        """
        if self._stepped is None:
            raise IsaacGymError("the links' tensor is stale: make a step after a reset before reading it")
        links = self._links.read()[self.simulation.bodies[:, :-1]]
        pos, quat, linear, angular = _columns(links)
        return dataclasses.replace(
            self._stepped, body_pos=pos, body_quat=quat, body_lin_vel=linear, body_ang_vel=angular
        )

    def close(self) -> None:
        """Ends the simulation."""
        self.simulation.gym.destroy_sim(self.simulation.sim)

    def _call(self, function: str, handle: Any) -> None:
        if getattr(self.simulation.gym, function)(self.simulation.sim, handle) is False:
            raise IsaacGymError(f"{function} failed")

    def _foreign_speed(self, joints: np.ndarray, speed: np.ndarray) -> np.ndarray:
        return rotations.rotate(joints, speed) if self.velocity_frame == "parent" else speed

    def _body_state(self, roots: np.ndarray, dofs: np.ndarray, forces: np.ndarray) -> BodyState:
        """From the global tensors to our state."""
        sim = self.simulation
        root_pos, root_quat, root_lin, root_ang = _columns(roots[sim.humanoids])
        joints = rotations.exp(dofs[sim.dofs, 0].reshape(self.worlds, -1, 3))
        speed = dofs[sim.dofs, 1].reshape(self.worlds, -1, 3)
        if self.velocity_frame == "parent":
            speed = rotations.rotate_inverse(joints, speed)
        spin = rotations.rotate_inverse(root_quat, root_ang)
        skeleton = self.description.skeleton
        bodies = forward_kinematics(skeleton, root_pos, root_quat, joints, root_lin, spin, speed)
        force = forces[sim.bodies]
        ball_pos, ball_quat, ball_lin, ball_ang = _columns(roots[sim.balls])
        return BodyState(
            *bodies,
            dof_pos=rotations.log(joints).reshape(self.worlds, -1),
            dof_vel=speed.reshape(self.worlds, -1),
            object_pos=ball_pos,
            object_quat=ball_quat,
            object_lin_vel=ball_lin,
            object_ang_vel=ball_ang,
            body_force=force[:, :-1],
            object_force=force[:, -1],
        )


def _row(pos: np.ndarray, quat: np.ndarray, linear: np.ndarray, angular: np.ndarray) -> np.ndarray:
    """The 13 columns of a rigid body's state in Isaac Gym, quaternion xyzw."""
    return np.concatenate([pos, rotations.xyzw_from_wxyz(quat), linear, angular], axis=-1)


def _columns(row: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Position, quaternion wxyz, linear and angular velocity of rows (..., 13)."""
    return row[..., :3], rotations.wxyz_from_xyzw(row[..., 3:7]), row[..., 7:10], row[..., 10:]
