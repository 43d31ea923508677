"""The calls of gymapi that the adapter uses, for worlds of one articulated humanoid and one ball on a plane."""

import os

import numpy as np

from isaacgym import importer, settings, worlds
from isaacgym.structures import (  # noqa: F401 - the module's public names
    AssetOptions,
    IndexRange,
    Mat33,
    PhysXParams,
    PlaneParams,
    Quat,
    RigidBodyProperties,
    RigidShapeProperties,
    SimParams,
    Transform,
    Vec3,
)

SIM_PHYSX, SIM_FLEX = 1, 0
UP_AXIS_Y, UP_AXIS_Z = 0, 1
DOF_MODE_NONE, DOF_MODE_POS, DOF_MODE_VEL, DOF_MODE_EFFORT = 0, 1, 2, 3
DOMAIN_ACTOR, DOMAIN_ENV, DOMAIN_SIM = 0, 1, 2


class Tensor:
    """A descriptor: here the array itself."""

    def __init__(self, array):
        self.array = array


class Actor:
    def __init__(self, asset, group, collision_filter):
        self.asset, self.group = asset, group
        self.dofs = asset.dofs.copy()
        self.bodies = [RigidBodyProperties(mass) for mass in asset.masses]
        self.shapes = [RigidShapeProperties() for _ in asset.names]
        for shape in self.shapes:
            shape.filter = collision_filter


class Env:
    def __init__(self, sim, index):
        self.sim, self.index, self.actors = sim, index, []


class Sim:
    def __init__(self, params):
        self.params, self.envs, self.plane = params, [], None
        self.prepared, self.fetched, self.staged, self.target = False, False, {}, None

    @property
    def per_env(self):
        """Actors, bodies and dofs of a world."""
        assets = [actor.asset for actor in self.envs[0].actors]
        return len(assets), sum(len(a.names) for a in assets), sum(len(a.dof_names) for a in assets)


class Gym:
    def create_sim(self, compute_device, graphics_device, engine, params):
        if engine != SIM_PHYSX or params.up_axis != UP_AXIS_Z or params.use_gpu_pipeline:
            raise ValueError("the stand-in knows PhysX with z up on the CPU")
        return Sim(params)

    def destroy_sim(self, sim):
        sim.prepared = False

    def add_ground(self, sim, plane):
        if plane.normal.z != 1.0:
            raise ValueError("the stand-in knows a plane with its normal along z")
        sim.plane = plane

    def load_asset(self, sim, root, file, options):
        path = os.path.join(root, file)
        return importer.load(path, options) if os.path.exists(path) else None

    def create_sphere(self, sim, radius, options):
        return importer.sphere(radius, options)

    def create_env(self, sim, lower, upper, per_row):
        sim.envs.append(Env(sim, len(sim.envs)))
        return sim.envs[-1]

    def create_actor(self, env, asset, pose, name, group, collision_filter, segmentation):
        if group != env.index:
            raise ValueError("worlds would collide with one another")
        env.actors.append(Actor(asset, group, collision_filter))
        return len(env.actors) - 1

    def get_asset_rigid_body_names(self, asset):
        return list(asset.names)

    def get_asset_dof_names(self, asset):
        return list(asset.dof_names)

    def get_actor_dof_properties(self, env, actor):
        return env.actors[actor].dofs.copy()

    def set_actor_dof_properties(self, env, actor, properties):
        env.actors[actor].dofs = properties.copy()
        return True

    def get_actor_rigid_shape_properties(self, env, actor):
        return list(env.actors[actor].shapes)

    def set_actor_rigid_shape_properties(self, env, actor, shapes):
        env.actors[actor].shapes = list(shapes)
        return True

    def get_actor_rigid_body_shape_indices(self, env, actor):
        return [IndexRange(i, 1) for i in range(len(env.actors[actor].asset.names))]

    def get_actor_rigid_body_properties(self, env, actor):
        return list(env.actors[actor].bodies)

    def set_actor_rigid_body_properties(self, env, actor, bodies, recompute_inertia):
        env.actors[actor].bodies = list(bodies)
        return True

    def get_actor_index(self, env, actor, domain):
        self._sim_domain(domain)
        return env.index * env.sim.per_env[0] + actor

    def get_actor_rigid_body_index(self, env, actor, body, domain):
        self._sim_domain(domain)
        return env.index * env.sim.per_env[1] + sum(len(a.asset.names) for a in env.actors[:actor]) + body

    def get_actor_dof_index(self, env, actor, dof, domain):
        self._sim_domain(domain)
        return env.index * env.sim.per_env[2] + sum(len(a.asset.dof_names) for a in env.actors[:actor]) + dof

    def _sim_domain(self, domain):
        if domain != DOMAIN_SIM:
            raise ValueError("the stand-in knows indices over all worlds")

    def prepare_sim(self, sim):
        if sim.plane is None or any(len(env.actors) != 2 for env in sim.envs):
            raise ValueError("the stand-in knows worlds of a humanoid and a ball on a plane")
        actors, bodies, dofs = (len(sim.envs) * count for count in sim.per_env)
        shapes = {"actor_root_state": (actors, 13), "dof_state": (dofs, 2), "rigid_body_state": (bodies, 13)}
        shapes["net_contact_force"] = (bodies, 3)
        # what a buffer holds before its first refresh is nobody's business
        sim.buffers = {name: np.full(shape, np.nan, np.float32) for name, shape in shapes.items()}
        sim.worlds = worlds.make(settings.physics, sim)
        sim.latest = sim.worlds.tensors()
        sim.prepared = True
        return True

    def simulate(self, sim):
        roots, dofs = (sim.staged.pop(name, None) for name in ("actor_root_state", "dof_state"))
        if roots is not None or dofs is not None:
            sim.worlds.place(roots, dofs)
        if sim.target is None:
            raise ValueError("no position targets were set")
        sim.worlds.step(sim.target.array)
        sim.latest, sim.fetched = sim.worlds.tensors(), False

    def fetch_results(self, sim, wait):
        sim.fetched = True

    def set_dof_position_target_tensor(self, sim, tensor):
        if tensor.array.shape != (len(sim.buffers["dof_state"]),) or tensor.array.dtype != np.float32:
            raise ValueError("targets: expected float32, one number a dof")
        if any((env.actors[0].dofs["driveMode"] != DOF_MODE_POS).any() for env in sim.envs):
            raise ValueError("position targets for dofs that are not in position mode")
        sim.target = tensor
        return True


def _acquire(name):
    def acquire(self, sim):
        if not sim.prepared:
            raise RuntimeError("tensors exist only after prepare_sim")
        return Tensor(sim.buffers[name])

    return acquire


def _refresh(name):
    def refresh(self, sim):
        if not sim.fetched:
            raise RuntimeError("fetch_results must come before a refresh")
        sim.buffers[name][:] = sim.latest[name]
        return True

    return refresh


def _set(name):
    def set_tensor(self, sim, tensor):
        if tensor.array.shape != sim.buffers[name].shape or tensor.array.dtype != np.float32:
            raise ValueError(f"{name}: expected float32 of shape {sim.buffers[name].shape}")
        sim.staged[name] = tensor.array.copy()
        return True

    return set_tensor


for _name in ("actor_root_state", "dof_state", "rigid_body_state", "net_contact_force"):
    setattr(Gym, f"acquire_{_name}_tensor", _acquire(_name))
    setattr(Gym, f"refresh_{_name}_tensor", _refresh(_name))
for _name in ("actor_root_state", "dof_state"):
    setattr(Gym, f"set_{_name}_tensor", _set(_name))


def acquire_gym():
    return Gym()
