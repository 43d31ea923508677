"""MJX-JAX behind the door: pure JAX, for TPUs and for comparison."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import jax
import jax.numpy as jnp
from mujoco import mjx

from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics import batch, pd, variants
from mjx_skillmimic.physics.base import EDGES, PhysicsState
from mjx_skillmimic.rotations import Array

_ROWS = 4  # constraint rows of a contact with three dimensions and a pyramidal cone


class MjxJaxPhysics:
    """MJX on JAX arrays, float32, one world at a time under vmap.

    XLA needs fixed sizes: of each kind of geom pair only the `max_geom_pairs` nearest are tested, and only the
    `max_contacts` deepest contacts are kept. `overflow` counts the control steps in which either limit was reached, so
    that contacts may have been lost; neighbouring fingers alone make some 90 near pairs of capsules. A tilted box on
    the floor gets other contacts than in MuJoCo C: build the scene with feet="corners" for one physics in all engines
    (docs/physics.md); a scene with box feet gives a warning. `PhysicsState.engine` is the warm start (N, nv).
    """

    name = "mjx-jax"

    def __init__(self, scene: Scene, max_geom_pairs: int = 128, max_contacts: int = 64) -> None:
        if scene.options.feet != "corners":
            warnings.warn(
                "MJX-JAX gives box feet on the floor other contacts than MuJoCo C and MJX-Warp do (docs/physics.md): "
                "use feet='corners' (--config.scene.feet=corners) for the same physics in all engines",
                stacklevel=2,
            )
        self.scene = scene
        self.max_contacts, self.max_geom_pairs = max_contacts, max_geom_pairs
        numerics = {"max_geom_pairs": float(max_geom_pairs), "max_contact_points": float(max_contacts)}
        model = variants.without_actuators(scene, numerics)
        self._model = mjx.put_model(model, impl="jax")
        self._data = mjx.make_data(model, impl="jax")
        self._nodes = variants.geom_nodes(scene, model)
        self._geom_body = model.geom_bodyid
        self._num_bodies = model.nbody
        self._capsule_pairs = variants.capsule_pairs(model)
        self._radii = model.geom_rbound
        self._edges = variants.edge_table()

    @property
    def bitwise(self) -> bool:
        """Sums over contacts are scattered in no fixed order on a GPU."""
        return jax.default_backend() != "gpu"

    def init(self, qpos: Array, qvel: Array) -> PhysicsState:
        """N worlds at qpos (N, nq), qvel (N, nv)."""
        return batch.new_state(qpos, qvel, engine=jnp.zeros(jnp.shape(qvel), jnp.float32))

    def reset(self, state: PhysicsState, mask: Array, qpos: Array, qvel: Array) -> PhysicsState:
        """The worlds of `mask` (N,) start over at the given coordinates."""
        return batch.select(mask, self.init(qpos, qvel), state)

    def step(self, state: PhysicsState, target: Array) -> PhysicsState:
        """One control step with PD targets (N, 156) rad."""
        outputs = jax.vmap(self._control_step)(state.qpos, state.qvel, state.engine, target)
        qpos, qvel, warmstart, force, edges, full = outputs
        stepped = dataclasses.replace(
            state,
            qpos=qpos,
            qvel=qvel,
            engine=warmstart,
            body_force=force[:, self.scene.humanoid_body_ids],
            object_force=force[:, self.scene.object_body_id],
            edges=edges,
            overflow=state.overflow + full,
        )
        return batch.show_nonfinite(state, target, stepped)

    def _control_step(self, qpos: Array, qvel: Array, warmstart: Array, target: Array) -> tuple[Array, ...]:
        """One world: (nq,), (nv,), (nv,), (156,)."""
        start = self._data.replace(qpos=qpos, qvel=qvel, qacc_warmstart=warmstart)

        def substep(data: Any, _: None) -> tuple[Any, tuple[Array, ...]]:
            applied = pd.generalised_force(self.scene, data.qpos, data.qvel, target)
            data = mjx.step(self._model, data.replace(qfrc_applied=applied))
            return data, self._contacts(data)

        data, (force, edges, full) = jax.lax.scan(substep, start, None, length=self.scene.substeps)
        overflow = jnp.any(full).astype(jnp.int32)
        return data.qpos, data.qvel, data.qacc_warmstart, jnp.mean(force, axis=0), jnp.any(edges, axis=0), overflow

    def _contacts(self, data: Any) -> tuple[Array, Array, Array]:
        """Net force (nbody, 3) N of the physics step just made, edges (3,), and whether every contact slot touched."""
        contact = data._impl.contact
        rows = data._impl.efc_force[contact.efc_address[:, None] + jnp.arange(_ROWS)]
        # a pyramid's edges are normal ± μ tangent
        sideways = contact.friction[:, :2] * jnp.stack([rows[:, 0] - rows[:, 1], rows[:, 2] - rows[:, 3]], axis=-1)
        local = jnp.concatenate([jnp.sum(rows, axis=-1, keepdims=True), sideways], axis=-1)
        force = jnp.sum(local[:, :, None] * contact.frame, axis=1)
        first, second = contact.geom[:, 0], contact.geom[:, 1]
        bodies = jnp.asarray(self._geom_body)
        net = jnp.zeros((self._num_bodies, 3)).at[bodies[second]].add(force).at[bodies[first]].add(-force)
        touching = contact.dist < contact.includemargin
        nodes = jnp.asarray(self._nodes)
        kinds = jnp.asarray(self._edges)[nodes[first], nodes[second]]
        edges = jnp.any(kinds & touching[:, None], axis=0)
        full = jnp.all(touching) & (touching.shape[0] >= self.max_contacts)
        return net, edges.reshape(len(EDGES)), full | (self._near_capsules(data) > self.max_geom_pairs)

    def _near_capsules(self, data: Any) -> Array:
        """How many pairs of capsules, by far the largest group of pairs, pass MJX's test of bounding spheres."""
        first, second = self._capsule_pairs.T
        apart = data.geom_xpos[second] - data.geom_xpos[first]
        reach = (self._radii[first] + self._radii[second]).astype(apart.dtype)
        return jnp.sum(jnp.sum(apart * apart, axis=-1) < reach * reach)
