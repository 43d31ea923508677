"""What Isaac Gym means by its numbers, measured at the start of every recording instead of believed.

Runs in Python 3.8. A second with the humanoid falling from a height, joints turning, and the ball first at rest on the
plane and then dropped tells whether hinge triples became spherical joints with rotation vectors, whose axes joint
velocities refer to, which point of a link its velocity belongs to, and the sign, size and period of contact forces.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.interop.isaacgym.adapter import BodyState, IsaacGymPhysics
from mjx_skillmimic.interop.isaacgym.simulation import IsaacGymError

_HEIGHT, _STEPS = 20.0, 30
_DROPS, _DROP_STEPS = (0.3, 0.6), 40  # m, lowest and highest; after 0.35 s the last ball has bounced
_TURN, _SPEED = 0.5, 3.0  # rad and rad/s of the joints, standard deviations
# How far links may be from our forward kinematics; another meaning of the coordinates gives a hundred times as much.
_LARGEST = {"link_position_gap_m": 0.01, "link_rotation_gap_rad": 0.02}


def check(physics: IsaacGymPhysics, seed: int = 0) -> dict[str, Any]:
    """Measures the conventions, sets `physics.velocity_frame` accordingly, and returns what was found (JSON).

    link_position_gap_m, link_rotation_gap_rad: largest distance between links and our forward kinematics of root and
    dof states. velocity_frame: the axes that agree better; joint_velocity_gap_child_rad_s, …_parent_rad_s: joint
    velocities against those of the links. link_velocity_point, and link_velocity_gap_origin_m_s, …_centre_m_s: the
    point that a link's velocity belongs to. resting_ball_force_N beside ball_weight_N. bounce_impulse_ratio: least and
    largest ratio, over the worlds, of force × control period to the momentum that a bouncing ball gets; 1 where forces
    are means over the control step, 0 and 2 where they are those of its last half. importer: `Simulation.found`.

    Raises IsaacGymError where links and kinematics do not agree: the joints are not what the MJCF was written for.
    """
    start = _start(physics, np.random.default_rng(seed))
    physics.velocity_frame = "child"
    physics.reset(start)
    state = physics.step(start["dof_pos"])
    links = physics.links()
    found: dict[str, Any] = {
        "link_position_gap_m": _largest(state.body_pos - links.body_pos),
        "link_rotation_gap_rad": float(rotations.geodesic(state.body_quat, links.body_quat).max()),
    }
    for name, most in _LARGEST.items():
        # written so that NaN fails
        if not found[name] <= most:
            raise IsaacGymError(
                f"{name} is {found[name]:.3g}, expected at most {most}: Isaac Gym's dof coordinates are not rotation "
                f"vectors of spherical joints in the order of the exported MJCF; found {physics.simulation.found}"
            )
    found.update(_velocities(physics, state, links))
    physics.velocity_frame = found["velocity_frame"]
    for _ in range(_STEPS):
        state = physics.step(start["dof_pos"])
    found["resting_ball_force_N"] = [float(x) for x in state.object_force.mean(axis=0)]
    found["ball_weight_N"] = _weight(physics)
    found["bounce_impulse_ratio"] = _bounce(physics, start)
    found["importer"] = physics.simulation.found
    return found


def _start(physics: IsaacGymPhysics, rng: np.random.Generator) -> dict[str, np.ndarray]:
    n, dofs = physics.worlds, len(physics.description.dof_names)
    still, turn = np.zeros((n, 3)), np.tile([1.0, 0.0, 0.0, 0.0], (n, 1))
    radius = float(physics.description.ball["radius"])
    return {
        "root_pos": np.tile([0.0, 0.0, _HEIGHT], (n, 1)),
        "root_quat": rotations.normalize(rng.normal(size=(n, 4))),
        "root_lin_vel": rng.normal(size=(n, 3)),
        "root_ang_vel": rng.normal(size=(n, 3)),
        "dof_pos": _TURN * rng.normal(size=(n, dofs)),
        "dof_vel": _SPEED * rng.normal(size=(n, dofs)),
        "object_pos": np.tile([0.0, 0.0, radius], (n, 1)),
        "object_quat": turn,
        "object_lin_vel": still,
        "object_ang_vel": still,
    }


def _weight(physics: IsaacGymPhysics) -> float:
    return -float(physics.description.ball["mass"]) * float(physics.description.simulation["gravity"][2])


def _bounce(physics: IsaacGymPhysics, start: dict[str, np.ndarray]) -> list[float]:
    """Drops the ball from other heights in other worlds, so that they meet the plane in other substeps."""
    place = start["object_pos"].copy()
    place[:, 2] += np.linspace(_DROPS[0], _DROPS[1], physics.worlds)
    physics.reset({**start, "object_pos": place})
    states = [physics.step(start["dof_pos"]) for _ in range(_DROP_STEPS)]
    told = sum(state.object_force[:, 2] for state in states) * physics.control_dt
    mass, time = float(physics.description.ball["mass"]), _DROP_STEPS * physics.control_dt
    ratio = told / (mass * states[-1].object_lin_vel[:, 2] + _weight(physics) * time)
    return [float(ratio.min()), float(ratio.max())]


def _velocities(physics: IsaacGymPhysics, state: BodyState, links: BodyState) -> dict[str, Any]:
    """Which of two meanings the velocities of joints and links have; `state` was read with the joints' as "child"."""
    description = physics.description
    parents = description.parents[1:]
    relative = links.body_ang_vel[:, 1:] - links.body_ang_vel[:, parents]
    told = state.dof_vel.reshape(relative.shape)
    joint = {
        "child": _largest(told - rotations.rotate_inverse(links.body_quat[:, 1:], relative)),
        "parent": _largest(told - rotations.rotate_inverse(links.body_quat[:, parents], relative)),
    }
    arms = rotations.rotate(links.body_quat, description.centres.astype(np.float32))
    bones = links.body_pos[:, 1:] - links.body_pos[:, parents]
    # rigid motion of the parent carries the joint: true of the origins' velocities, whatever the joint does
    linear, angular = links.body_lin_vel, links.body_ang_vel
    shift = rotations.cross(angular, arms)
    point = {}
    for name, origins in (("origin", linear), ("centre", linear - shift)):
        carried = origins[:, parents] + rotations.cross(angular[:, parents], bones)
        point[name] = _largest(origins[:, 1:] - carried)
    return {
        "velocity_frame": min(joint, key=lambda name: joint[name]),
        **{f"joint_velocity_gap_{name}_rad_s": gap for name, gap in joint.items()},
        "link_velocity_point": min(point, key=lambda name: point[name]),
        **{f"link_velocity_gap_{name}_m_s": gap for name, gap in point.items()},
    }


def _largest(difference: np.ndarray) -> float:
    return float(np.abs(difference).max())
