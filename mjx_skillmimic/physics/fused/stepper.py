"""One control step of many worlds by the fused kernels, as a function that JAX can call."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import warp as wp
from mujoco.mjx.third_party import mujoco_warp as mjwarp

from mjx_skillmimic.model.humanoid import NUM_DOFS
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.base import EDGES
from mjx_skillmimic.physics.fused import arguments, kernels
from mjx_skillmimic.physics.fused.tree import build_blocks
from mjx_skillmimic.physics.sizing import Capacity

SLOTS_A_PROCESSOR = 10  # thread blocks of the contact kernel that a multiprocessor holds


@dataclasses.dataclass
class Scratch:
    """What lives on one device between the kernels, for one number of worlds; nothing of it outlives a control step."""

    model: Any
    data: Any
    tree: Any
    contacts: Any
    record: Any
    qacc_smooth: Any
    next_world: Any
    count: Any
    list: Any
    workspace: Any
    workspace_words: int
    slots: int
    qpos: list
    qvel: list


class FusedStep:
    """`step(qpos, qvel, target)` for JAX arrays: (N, nq), (N, nv), (N, 156) rad to the next qpos and qvel, net forces
    (N, nbody, 3) N, edges (N, 3) int32 and, (N,) int32, whether contacts were lost.

    Worlds do not influence one another and the result does not depend on their number or order, to the bit on one
    device. Buffers are made per device and number of worlds when a function is traced.

    Raises:
        ValueError: the model has something that the kernels do not compute; arrays of other shapes.
    """

    def __init__(self, scene: Scene, model: mujoco.MjModel, room: Callable[[int], Capacity], lost_bits: int) -> None:
        self.scene, self.mj_model = scene, model
        self.blocks = build_blocks(scene, model)
        self.longest = self.blocks.longest_pair()
        self._room, self._lost_bits = room, lost_bits
        self._scratch: dict[tuple[str, int], Scratch] = {}
        self._workspaces: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._smooth = kernels.smooth_kernel(self.blocks.count)
        self._contact = kernels.contact_kernel(self.blocks.count)
        self._callable = self._make_callable()

    def __call__(self, qpos: jax.Array, qvel: jax.Array, target: jax.Array) -> tuple[jax.Array, ...]:
        worlds, model = qpos.shape[0], self.mj_model
        wanted = (worlds, model.nq), (worlds, model.nv), (worlds, NUM_DOFS)
        if (found := (qpos.shape, qvel.shape, target.shape)) != wanted:
            raise ValueError(f"qpos, qvel and target have the shapes {found}, expected {wanted}")
        self.prepare(worlds)
        dims = {
            "qpos_out": (worlds, self.mj_model.nq),
            "qvel_out": (worlds, self.mj_model.nv),
            "body_force": (worlds, self.mj_model.nbody, 3),
            "edges": (worlds, len(EDGES)),
            "overflow": (worlds,),
        }
        return self._callable(qpos, qvel, target, output_dims=dims)

    def prepare(self, worlds: int) -> None:
        """Makes the buffers for `worlds` worlds on every device that JAX may call, and loads the kernels there."""
        devices = _devices()
        if all((str(device), worlds) in self._scratch for device in devices):
            return
        # A step that still runs may be recording a graph on the stream that the warm-up would use.
        with jax.ensure_compile_time_eval():
            for own in jax.local_devices():
                with jax.default_device(own):
                    jax.block_until_ready(jnp.zeros(()) + 1.0)
        for device in devices:
            with self._lock, wp.ScopedDevice(device):
                self._scratch[str(device), worlds] = self._allocate(worlds)
                try:
                    self._warm_up(worlds)
                except BaseException:
                    del self._scratch[str(device), worlds]
                    raise

    def close(self) -> None:
        """Frees the buffers and recorded graphs; functions that were compiled with this engine must not run again."""
        self._scratch.clear()
        self._workspaces.clear()
        wp.clear_jax_callable_graph_cache(self._callable)

    def _allocate(self, worlds: int) -> Scratch:
        model, room = self.mj_model, self._room(worlds)
        device = wp.get_device()
        engine = mjwarp.put_model(model)
        engine.opt.warn_overflow = 0  # counted and reported, not printed
        data = mjwarp.make_data(model, nworld=worlds, naconmax=room.naconmax, naccdmax=room.naccdmax, njmax=1)
        slots = min(worlds, SLOTS_A_PROCESSOR * device.sm_count) if device.is_cuda else 1
        size = kernels.words(room.contacts_per_world, self.blocks.count, self.longest)
        contacts = arguments.Contacts()
        names = {"margin": "includemargin", "number": "geomcollisionid"}
        for name in arguments.Contacts.vars:  # type: ignore[attr-defined]
            setattr(contacts, name, getattr(data.contact, names.get(name, name)))
        return Scratch(
            model=engine,
            data=data,
            tree=arguments.tree_on_device(self.blocks),
            contacts=contacts,
            record=wp.zeros(worlds * self.blocks.count * kernels.RECORD, dtype=float),
            qacc_smooth=wp.zeros((worlds, model.nv), dtype=float),
            next_world=wp.zeros(1, dtype=int),
            count=wp.zeros(worlds, dtype=int),
            list=wp.zeros(worlds * room.contacts_per_world, dtype=int),
            workspace=self._workspace(str(device), slots * size),
            workspace_words=size,
            slots=slots,
            qpos=[wp.zeros((worlds, model.nq), dtype=float) for _ in range(2)],
            qvel=[wp.zeros((worlds, model.nv), dtype=float) for _ in range(2)],
        )

    def _workspace(self, device: str, size: int) -> Any:
        """One for all numbers of worlds of a device, which run one after the other; a new one where it is too small."""
        if device not in self._workspaces or self._workspaces[device].shape[0] < size:
            self._workspaces[device] = wp.zeros(size, dtype=float)
        return self._workspaces[device]

    def _warm_up(self, worlds: int) -> None:
        """One step at rest: kernels must be compiled and loaded before a CUDA graph is recorded."""
        model = self.mj_model
        qpos: Any = wp.array(np.tile(model.qpos0, (worlds, 1)).astype(np.float32))
        qvel, target = wp.zeros((worlds, model.nv), dtype=float), wp.zeros((worlds, NUM_DOFS), dtype=float)
        force, edges = wp.zeros((worlds, model.nbody, 3), dtype=float), wp.zeros((worlds, len(EDGES)), dtype=int)
        overflow = wp.zeros(worlds, dtype=int)
        self._run(qpos, qvel, target, wp.zeros_like(qpos), wp.zeros_like(qvel), force, edges, overflow)
        wp.synchronize_device()

    def _run(
        self,
        qpos: Any,
        qvel: Any,
        target: Any,
        qpos_out: Any,
        qvel_out: Any,
        body_force: Any,
        edges: Any,
        overflow: Any,
    ) -> None:
        """Launches all substeps on Warp's current device and stream."""
        scene, model = self.scene, self.mj_model
        worlds = qpos.shape[0]
        s, is_cuda = self._scratch[str(qpos.device), worlds], qpos.device.is_cuda
        smooth_lanes, contact_lanes = (kernels.SMOOTH_LANES, kernels.CONTACT_LANES) if is_cuda else (1, 1)
        sizes = arguments.filled(
            arguments.Sizes,
            nq=model.nq,
            nv=model.nv,
            ntarget=NUM_DOFS,
            ngeom=model.ngeom,
            nbody=model.nbody,
            nlevel=len(self.blocks.level_begin) - 1,
            smooth_lanes=smooth_lanes,
            contact_lanes=contact_lanes,
        )
        effort = scene.effort_limit or 0.0
        servos = arguments.filled(arguments.Servos, gravity=wp.vec3(*model.opt.gravity), effort_limit=effort)
        limit, contact = s.list.shape[0] // worlds, s.data.contact
        room = arguments.filled(
            arguments.Room,
            contacts=limit,
            shared_contacts=s.data.naconmax,
            words=s.workspace_words,
            lost_bits=self._lost_bits,
        )
        s.data.overflow.zero_()
        for substep in range(scene.substeps):
            last = substep == scene.substeps - 1
            q_next = qpos_out if last else s.qpos[substep % 2]
            v_next = qvel_out if last else s.qvel[substep % 2]
            wp.launch(
                self._smooth,
                dim=worlds * smooth_lanes,
                block_dim=kernels.SMOOTH_LANES,
                inputs=[sizes, servos, s.tree, qpos, qvel, target],
                outputs=[s.record, s.qacc_smooth, s.data.geom_xpos, s.data.geom_xmat],
            )
            mjwarp.collision(s.model, s.data)
            s.count.zero_()
            s.next_world.zero_()
            found = [s.data.nacon, contact.dist, contact.includemargin, contact.type, contact.worldid]
            wp.launch(
                kernels.sort_by_world,
                dim=s.data.naconmax,
                inputs=[limit, s.data.naconmax, *found],
                outputs=[s.count, s.list],
            )
            solver = arguments.filled(
                arguments.Solver,
                iterations=model.opt.iterations,
                searches=model.opt.ls_iterations,
                scale=1.0 / (model.stat.meaninertia * model.nv),
                tolerance=model.opt.tolerance,
                timestep=model.opt.timestep,
                fresh=int(substep == 0),
                share=1.0 / scene.substeps,
            )
            kept = [s.list, s.record, s.workspace]
            counters = [s.data.nacon, s.data.ncollision, s.data.overflow, s.next_world, s.count]
            wp.launch(
                self._contact,
                dim=s.slots * contact_lanes,
                block_dim=kernels.CONTACT_LANES,
                inputs=[worlds, sizes, room, solver, s.tree, s.contacts, *counters, *kept, qpos, qvel, s.qacc_smooth],
                outputs=[q_next, v_next, body_force, edges, overflow],
            )
            qpos, qvel = q_next, v_next

    def _make_callable(self) -> Any:
        def fused_step(
            qpos: wp.array2d(dtype=float),  # type: ignore[valid-type]
            qvel: wp.array2d(dtype=float),  # type: ignore[valid-type]
            target: wp.array2d(dtype=float),  # type: ignore[valid-type]
            qpos_out: wp.array2d(dtype=float),  # type: ignore[valid-type]
            qvel_out: wp.array2d(dtype=float),  # type: ignore[valid-type]
            body_force: wp.array3d(dtype=float),  # type: ignore[valid-type]
            edges: wp.array2d(dtype=int),  # type: ignore[valid-type]
            overflow: wp.array(dtype=int),  # type: ignore[valid-type]
        ) -> None:
            self._run(qpos, qvel, target, qpos_out, qvel_out, body_force, edges, overflow)

        # A graph is recorded once for each set of addresses; with few arguments there are few.
        mode = wp.JaxCallableGraphMode.NONE if jax.default_backend() == "cpu" else wp.JaxCallableGraphMode.WARP
        return wp.jax_callable(fused_step, num_outputs=5, graph_mode=mode, vmap_method=None)


def _devices() -> list[Any]:
    """Warp's names of the local devices that JAX computes on."""
    local = jax.local_devices()
    if local[0].platform == "cpu":
        return [wp.get_device("cpu")]
    return [wp.device_from_jax(device) for device in local]
