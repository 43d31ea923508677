"""MJX-Warp behind the door: NVIDIA GPUs (and, slowly, CPUs)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import mjx

from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics import batch, pd, variants
from mjx_skillmimic.physics.base import PhysicsState
from mjx_skillmimic.physics.sizing import MARGIN, Capacity, capacity
from mjx_skillmimic.rotations import Array

# Bits of Warp's overflow flag that mean lost contacts or rows; the others only report iteration limits.
LOST = 1 | 2 | 4 | 8 | 16


KERNELS = ("fused", "mujoco_warp")


class MjxWarpPhysics:
    """MuJoCo Warp, float32, all worlds in one call.

    kernels="fused": MuJoCo Warp finds the contacts, two kernels of our own do the rest (docs/physics_fused.md);
    `PhysicsState.engine` is empty, the solver starts cold. "mujoco_warp": MJX's own step. Its data holds no
    state beyond coordinates and warm start, so it is built inside every control step and `engine` is just the warm
    start (N, nv). Either way resets cannot leak and checkpoints stay small. `overflow` counts, per world, the control
    steps that lost contacts or constraint rows, or may have.

    Args:
        buffers: room for contacts; absent: `sizing.capacity` of the number of worlds and `margin`.
        kernels: one of `KERNELS`.

    Raises:
        ImportError: Warp is not installed.
        ValueError: an unknown name, or a scene that the fused kernels do not compute.
    """

    name = "mjx-warp"

    def __init__(
        self, scene: Scene, buffers: Capacity | None = None, kernels: str = "fused", margin: float = MARGIN
    ) -> None:
        try:
            import warp  # noqa: F401
        except ImportError as error:
            raise ImportError("the engine mjx-warp needs Warp: pip install 'mjx_skillmimic[cuda]'") from error
        if kernels not in KERNELS:
            raise ValueError(f"no kernels {kernels!r} of mjx-warp; there are {', '.join(KERNELS)}")
        self.scene = scene
        self.buffers, self.margin = buffers, margin
        self.kernels = kernels
        # Equal bits for equal worlds on one machine; MuJoCo Warp's own solver sums in the order of chance.
        self.bitwise = kernels == "fused"
        self._mj_model = variants.without_actuators(scene)
        # Boxes deep in each other get MuJoCo C's contacts from the primitive test, others from the convex algorithm.
        self._mj_model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_NATIVECCD)
        if kernels == "fused":
            from mjx_skillmimic.physics.fused.stepper import FusedStep

            self._fused = FusedStep(scene, self._mj_model, self._room, LOST)
            return
        model = mjx.put_model(self._mj_model, impl="warp")
        # Contact forces of every body are computed only on request; lost contacts are counted below, not printed.
        self._model = model.tree_replace({"opt._impl.run_rne_postconstraint": True, "opt._impl.warn_overflow": 0})
        self._nodes = variants.geom_nodes(scene, self._mj_model)
        self._edges = variants.edge_table()

    def init(self, qpos: Array, qvel: Array) -> PhysicsState:
        """N worlds at qpos (N, nq), qvel (N, nv)."""
        # Not an array without columns: XLA's partitioner (jaxlib 0.11.2) crashes on inputs of no size.
        engine = () if self.kernels == "fused" else jnp.zeros(jnp.shape(qvel), jnp.float32)
        return batch.new_state(qpos, qvel, engine=engine)

    def reset(self, state: PhysicsState, mask: Array, qpos: Array, qvel: Array) -> PhysicsState:
        """The worlds of `mask` (N,) start over at the given coordinates."""
        return batch.select(mask, self.init(qpos, qvel), state)

    def step(self, state: PhysicsState, target: Array) -> PhysicsState:
        """One control step with PD targets (N, 156) rad."""
        if self.kernels == "fused":
            return self._step_fused(state, target)
        start = self._blank(state.qpos.shape[0]).replace(qpos=state.qpos, qvel=state.qvel, qacc_warmstart=state.engine)
        advance = jax.vmap(mjx.step, in_axes=(None, 0))

        def substep(data: Any, _: None) -> tuple[Any, tuple[Array, ...]]:
            applied = pd.generalised_force(self.scene, data.qpos, data.qvel, target)
            data = advance(self._model, data.replace(qfrc_applied=applied))
            return data, (data._impl.cfrc_ext[..., 3:], self._edges_of(data))

        data, (force, edges) = jax.lax.scan(substep, start, None, length=self.scene.substeps)
        force = jnp.mean(force, axis=0)
        lost = (data._impl.overflow & LOST) != 0
        stepped = dataclasses.replace(
            state,
            qpos=data.qpos,
            qvel=data.qvel,
            engine=data.qacc_warmstart,
            body_force=force[:, self.scene.humanoid_body_ids],
            object_force=force[:, self.scene.object_body_id],
            edges=jnp.any(edges, axis=0),
            overflow=state.overflow + lost.reshape(state.overflow.shape).astype(jnp.int32),
        )
        return batch.show_nonfinite(state, target, stepped)

    def close(self) -> None:
        """Frees the fused kernels' buffers; functions that were compiled with this engine must not run again."""
        if self.kernels == "fused":
            self._fused.close()

    def _step_fused(self, state: PhysicsState, target: Array) -> PhysicsState:
        qpos, qvel, force, edges, lost = self._fused(state.qpos, state.qvel, jnp.asarray(target, jnp.float32))
        stepped = dataclasses.replace(
            state,
            qpos=qpos,
            qvel=qvel,
            body_force=force[:, self.scene.humanoid_body_ids],
            object_force=force[:, self.scene.object_body_id],
            edges=edges > 0,
            overflow=state.overflow + lost,
        )
        return batch.show_nonfinite(state, target, stepped)

    def _room(self, worlds: int) -> Capacity:
        return self.buffers or capacity(self.scene, worlds, self.margin)

    def _blank(self, worlds: int) -> Any:
        """Fresh Warp data of `worlds` worlds; zeros are made on the device, not embedded in the program."""
        buffers = self._room(worlds)

        def one(_: Array) -> Any:
            with jax.ensure_compile_time_eval():
                data = mjx.make_data(
                    self._mj_model,
                    impl="warp",
                    naconmax=buffers.naconmax,
                    naccdmax=buffers.naccdmax,
                    njmax=buffers.njmax,
                )
            return jax.tree.map(_lazy_zeros, data)

        return jax.vmap(one)(jnp.arange(worlds))

    def _edges_of(self, data: Any) -> Array:
        """Edges (N, 3) of the contacts of the physics step just made; the contact buffer mixes all worlds."""
        impl = data._impl
        used = jnp.arange(impl.contact__dist.shape[0]) < impl.nacon[0]
        touching = used & (impl.contact__dist < impl.contact__includemargin)
        nodes = jnp.asarray(self._nodes)[impl.contact__geom]
        kinds = jnp.asarray(self._edges)[nodes[:, 0], nodes[:, 1]] & touching[:, None]
        world = jnp.where(used, impl.contact__worldid, 0)
        found = jnp.zeros((data.qpos.shape[0], kinds.shape[-1]), jnp.int32)
        return found.at[world].max(kinds.astype(jnp.int32)) > 0


def _lazy_zeros(leaf: Any) -> Any:
    """`leaf`, or an equal array of zeros that XLA writes itself."""
    if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer) and not np.any(np.asarray(leaf)):
        return jnp.zeros(leaf.shape, leaf.dtype)
    return leaf
