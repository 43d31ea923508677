"""One Isaac Gym simulation of N worlds: humanoid, ball and plane with the properties that a `Description` names.

Runs in Python 3.8 with NumPy and Isaac Gym. Isaac Gym wants to be imported before torch; nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from mjx_skillmimic.interop.isaacgym.description import Description


class IsaacGymError(RuntimeError):
    """Isaac Gym refused a request, or built something other than what was asked for."""


@dataclasses.dataclass(frozen=True)
class Simulation:
    """A prepared simulation and where its worlds are in the global tensors.

    gymapi, gymtorch: the modules. gym, sim: their objects. humanoids, balls (N,): rows of the actor tensor; bodies
    (N, B + 1): rows of the rigid-body tensors, the ball last; dofs (N, D): rows of the dof tensors, in the order of
    `Description.dof_names`. actors: rows of the actor tensor altogether. found: what the importer made of the asset,
    to be kept with a trace: dof order, gains and masses before they were set, effort limits.
    """

    gymapi: Any
    gymtorch: Any
    gym: Any
    sim: Any
    humanoids: np.ndarray
    balls: np.ndarray
    bodies: np.ndarray
    dofs: np.ndarray
    found: dict[str, Any]


def import_isaacgym() -> tuple[Any, Any]:
    """The modules gymapi and gymtorch. Raises ImportError that says where they come from."""
    try:
        from isaacgym import gymapi, gymtorch
    except ImportError as error:
        raise ImportError(
            "this needs Isaac Gym Preview 4, which comes from NVIDIA and runs in Python 3.8 at most "
            f"(docs/isaacgym.md): {error}"
        ) from error
    return gymapi, gymtorch


def build_simulation(description: Description, worlds: int, device: str = "cpu") -> Simulation:
    """Creates the simulation. device: "cpu" or "cuda:N", for physics and tensors alike.

    Raises ImportError without Isaac Gym, ValueError for another device or less than one world, IsaacGymError for what
    Isaac Gym could not do.
    """
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or not (number or "0").isdigit():
        raise ValueError(f"device={device!r}; expected 'cpu', 'cuda' or 'cuda:N'")
    if worlds < 1:
        raise ValueError(f"worlds={worlds}; expected at least 1")
    gymapi, gymtorch = import_isaacgym()
    gym = gymapi.acquire_gym()
    params = _sim_params(gymapi, description, kind == "cuda")
    # no graphics device: nothing is drawn
    sim = gym.create_sim(int(number or 0), -1, gymapi.SIM_PHYSX, params)
    if sim is None:
        raise IsaacGymError(f"create_sim gave no simulation on {device}")
    _add_plane(gymapi, gym, sim, description)
    humanoid = _load_humanoid(gymapi, gym, sim, description)
    ball = _create_ball(gymapi, gym, sim, description)
    body_names, dof_order, found = _order(gym, humanoid, description)
    rows: dict[str, list[Any]] = {"humanoids": [], "balls": [], "bodies": [], "dofs": []}
    spacing = float(description.simulation["env_spacing"])
    lower, upper = gymapi.Vec3(-spacing, -spacing, 0.0), gymapi.Vec3(spacing, spacing, spacing)
    per_row = math.ceil(math.sqrt(worlds))
    # every world is a collision group of its own; a filter other than 0 is shared by all bodies of an actor
    self_filter = 0 if description.humanoid["self_collision"] else 1
    actors = []
    for world in range(worlds):
        env = gym.create_env(sim, lower, upper, per_row)
        pose = gymapi.Transform()
        pose.p = gymapi.Vec3(0.0, 0.0, 0.89)
        person = gym.create_actor(env, humanoid, pose, "humanoid", world, self_filter, 0)
        pose = gymapi.Transform()
        pose.p = gymapi.Vec3(spacing / 2.0, 0.0, 1.0)
        thing = gym.create_actor(env, ball, pose, "ball", world, 0, 0)
        found.update(_set_humanoid(gymapi, gym, env, person, body_names, dof_order, description))
        _set_ball(gym, env, thing, description)
        actors.append((env, person, thing))
    if gym.prepare_sim(sim) is False:
        raise IsaacGymError("prepare_sim failed")
    domain = gymapi.DOMAIN_SIM
    for env, person, thing in actors:
        rows["humanoids"].append(gym.get_actor_index(env, person, domain))
        rows["balls"].append(gym.get_actor_index(env, thing, domain))
        persons = [gym.get_actor_rigid_body_index(env, person, body_names.index(b), domain) for b in description.bodies]
        rows["bodies"].append([*persons, gym.get_actor_rigid_body_index(env, thing, 0, domain)])
        rows["dofs"].append([gym.get_actor_dof_index(env, person, dof, domain) for dof in dof_order])
    indices = {name: np.array(values, np.int64) for name, values in rows.items()}
    return Simulation(gymapi=gymapi, gymtorch=gymtorch, gym=gym, sim=sim, found=found, **indices)


def _sim_params(gymapi: Any, description: Description, gpu: bool) -> Any:
    wanted = description.simulation
    params = gymapi.SimParams()
    params.dt, params.substeps = float(wanted["control_dt"]), int(wanted["substeps"])
    params.up_axis = gymapi.UP_AXIS_Z
    params.gravity = gymapi.Vec3(*(float(x) for x in wanted["gravity"]))
    params.use_gpu_pipeline = gpu
    physx = params.physx
    physx.use_gpu = gpu
    physx.solver_type = int(wanted["solver_type"])
    physx.num_position_iterations = int(wanted["position_iterations"])
    physx.num_velocity_iterations = int(wanted["velocity_iterations"])
    physx.contact_offset, physx.rest_offset = float(wanted["contact_offset"]), float(wanted["rest_offset"])
    physx.bounce_threshold_velocity = float(wanted["bounce_threshold_velocity"])
    physx.max_depenetration_velocity = float(wanted["max_depenetration_velocity"])
    physx.default_buffer_size_multiplier = float(wanted["buffer_size_multiplier"])
    physx.max_gpu_contact_pairs = int(wanted["max_gpu_contact_pairs"])
    physx.num_threads = int(wanted["threads"])
    return params


def _add_plane(gymapi: Any, gym: Any, sim: Any, description: Description) -> None:
    plane = gymapi.PlaneParams()
    plane.normal = gymapi.Vec3(0.0, 0.0, 1.0)
    plane.distance = 0.0
    plane.static_friction = plane.dynamic_friction = float(description.plane["friction"])
    plane.restitution = float(description.plane["restitution"])
    gym.add_ground(sim, plane)


def _asset_options(gymapi: Any, wanted: dict[str, Any]) -> Any:
    options = gymapi.AssetOptions()
    options.linear_damping = float(wanted["linear_damping"])
    options.angular_damping = float(wanted["angular_damping"])
    options.max_angular_velocity = float(wanted["max_angular_velocity"])
    options.default_dof_drive_mode = int(gymapi.DOF_MODE_NONE)
    return options


def _load_humanoid(gymapi: Any, gym: Any, sim: Any, description: Description) -> Any:
    file = str(description.humanoid["file"])
    asset = gym.load_asset(sim, str(description.folder), file, _asset_options(gymapi, description.humanoid))
    if asset is None:
        raise IsaacGymError(f"{description.folder / file} could not be imported")
    return asset


def _create_ball(gymapi: Any, gym: Any, sim: Any, description: Description) -> Any:
    ball = description.ball
    options = _asset_options(gymapi, ball)
    options.density = float(ball["mass"]) / (4.0 / 3.0 * math.pi * float(ball["radius"]) ** 3)
    return gym.create_sphere(sim, float(ball["radius"]), options)


def _order(gym: Any, asset: Any, description: Description) -> tuple[list[str], list[int], dict[str, Any]]:
    """The importer's body names, its dof index of each of our dofs, and a note on how these were found."""
    bodies = [str(name) for name in gym.get_asset_rigid_body_names(asset)]
    if sorted(bodies) != sorted(description.bodies):
        raise IsaacGymError(
            f"the importer made the bodies {', '.join(bodies)}, expected {', '.join(description.bodies)}"
        )
    names = [str(name) for name in gym.get_asset_dof_names(asset)]
    if len(names) != len(description.dof_names):
        raise IsaacGymError(f"the importer made {len(names)} dofs, expected {len(description.dof_names)}")
    by_name = sorted(names) == sorted(description.dof_names)
    if by_name:
        order = [names.index(name) for name in description.dof_names]
    else:
        # Nothing to go by but the bodies' order; `conventions.check` compares with the links.
        order = [3 * (bodies.index(body) - 1) + axis for body in description.bodies[1:] for axis in range(3)]
    found = {"dofs_by_name": by_name, "depth_first": order == sorted(order)}
    return bodies, order, found if by_name else {**found, "dof_names": names}


def _set_humanoid(
    gymapi: Any,
    gym: Any,
    env: Any,
    actor: Any,
    body_names: list[str],
    dof_order: list[int],
    description: Description,
) -> dict[str, Any]:
    """Gains, filters and materials of one humanoid; what the importer had made of them."""
    dofs = gym.get_actor_dof_properties(env, actor)
    imported = {name: np.array(dofs[name])[dof_order] for name in ("stiffness", "damping", "armature", "effort")}
    dofs["driveMode"].fill(int(gymapi.DOF_MODE_POS))
    dofs["hasLimits"].fill(True)
    dofs["lower"].fill(-description.limit)
    dofs["upper"].fill(description.limit)
    for name in ("stiffness", "damping", "armature"):
        dofs[name][dof_order] = getattr(description, name)
    if description.effort is not None:
        dofs["effort"].fill(description.effort)
    if gym.set_actor_dof_properties(env, actor, dofs) is False:
        raise IsaacGymError("set_actor_dof_properties failed")
    wanted = description.humanoid
    shapes = gym.get_actor_rigid_shape_properties(env, actor)
    ranges = gym.get_actor_rigid_body_shape_indices(env, actor)
    filters = dict.fromkeys(body_names, 0 if wanted["self_collision"] else 1)
    for bit, pair in enumerate(description.excluded_pairs, start=1):
        for body in pair:
            filters[body] |= 1 << bit
    for index, body in enumerate(body_names):
        first = ranges[index].start
        for shape in shapes[first : first + ranges[index].count]:
            shape.friction, shape.restitution = float(wanted["friction"]), float(wanted["restitution"])
            # shapes with a filter bit in common do not collide
            shape.filter = filters[body]
    if gym.set_actor_rigid_shape_properties(env, actor, shapes) is False:
        raise IsaacGymError("set_actor_rigid_shape_properties failed")
    bodies = gym.get_actor_rigid_body_properties(env, actor)
    masses = np.array([bodies[body_names.index(name)].mass for name in description.bodies])
    gaps = {
        name: float(np.abs(imported[name] - getattr(description, name)).max()) for name in imported if name != "effort"
    }
    return {
        "imported_gaps": gaps,
        "imported_effort": [float(imported["effort"].min()), float(imported["effort"].max())],
        "mass_gap_kg": float(np.abs(masses - description.masses).max()),
    }


def _set_ball(gym: Any, env: Any, actor: Any, description: Description) -> None:
    ball = description.ball
    shapes = gym.get_actor_rigid_shape_properties(env, actor)
    for shape in shapes:
        shape.friction, shape.restitution = float(ball["friction"]), float(ball["restitution"])
    if gym.set_actor_rigid_shape_properties(env, actor, shapes) is False:
        raise IsaacGymError("set_actor_rigid_shape_properties failed")
    mass, radius, inertia = float(ball["mass"]), float(ball["radius"]), float(ball["inertia"])
    if math.isclose(inertia, 0.4 * mass * radius**2, rel_tol=1e-6):
        return
    properties = gym.get_actor_rigid_body_properties(env, actor)
    properties[0].mass = mass
    for axis in "xyz":
        setattr(getattr(properties[0].inertia, axis), axis, inertia)
    if gym.set_actor_rigid_body_properties(env, actor, properties, False) is False:
        raise IsaacGymError("set_actor_rigid_body_properties failed")
