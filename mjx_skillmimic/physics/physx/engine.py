"""PhysX behind the door: one PhysX instance a world, stepped by a pool of threads."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic.model.humanoid import NUM_BODIES
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics import batch
from mjx_skillmimic.physics.base import EDGES, PhysicsState
from mjx_skillmimic.physics.mujoco_c import usable_cores
from mjx_skillmimic.physics.physx.convert import component_target, dof_columns, from_raw, to_raw
from mjx_skillmimic.physics.physx.inspection import Inspected, inspect
from mjx_skillmimic.physics.physx.runtime import LOCK, runtime
from mjx_skillmimic.physics.physx.settings import PhysxSettings
from mjx_skillmimic.physics.physx.usd import write_usd
from mjx_skillmimic.physics.physx.world import World
from mjx_skillmimic.rotations import Array

RENEW = ("written", "always", "never")
DRIVES = ("shortest", "components")


class PhysxPhysics:
    """NVIDIA PhysX 5 on the CPU with the published settings (skillmimic.md §1.4, §2).

    PhysX keeps contact points, friction anchors and an order of pairs from step to step, and its few iterations make
    the outcome depend on them. A world whose coordinates are to the bit what the last step returned goes on as PhysX
    left it; any other is written to PhysX first. `renew` says which worlds get a new PhysX scene before a step:
    "written" (those; a course from `init` or `reset` is then the same to the bit whatever came before), "always"
    (every one in every step: a pure function of the state, and slow) or "never" (as the published system: fast, but
    what comes of a reset depends on the past).

    A world with non-finite coordinates or targets comes back as NaN and is not simulated; one that PhysX makes
    non-finite too, and is built anew. Worlds are built when first stepped, and kept.

    Args:
        drive: "shortest", PhysX's own error of a spherical joint, or "components", that of
            our other engines (docs/physx.md). threads: that step worlds; absent: one a core. capacity: contact points
            of one world; `overflow` counts the steps that had more, whose edges may be missing. settings: fields of
            `PhysxSettings`.

    Raises:
        ImportError: without `ovphysx`; names the extra to install. TypeError: for an unknown setting. ValueError: for
        a scene that PhysX has nothing for, or a value out of range.
    """

    name = "physx"

    def __init__(
        self,
        scene: Scene,
        threads: int | None = None,
        renew: str = "written",
        drive: str = "shortest",
        capacity: int = 4096,
        **settings: Any,
    ) -> None:
        self.scene = scene
        self.settings = PhysxSettings(**settings)
        self.threads = usable_cores() if threads is None else threads
        self.renew, self.drive, self.capacity = renew, drive, capacity
        if self.threads < 1 or capacity < 1:
            raise ValueError(f"threads={self.threads}, capacity={capacity}; expected at least 1 of each")
        for name, value, allowed in (("renew", renew, RENEW), ("drive", drive, DRIVES)):
            if value not in allowed:
                raise ValueError(f"{name}={value!r}; expected one of {', '.join(allowed)}")
        runtime()
        self._usd = write_usd(scene, self.settings)
        self._worlds: dict[int, World] = {}
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._pool = ThreadPoolExecutor(self.threads)
        self._closed = False

    @property
    def bitwise(self) -> bool:
        """Whether equal states give equal bits whatever came before."""
        return self.renew == "always"

    def init(self, qpos: Array, qvel: Array) -> PhysicsState:
        """N worlds at qpos (N, nq), qvel (N, nv)."""
        return batch.new_state(qpos, qvel, engine=())

    def reset(self, state: PhysicsState, mask: Array, qpos: Array, qvel: Array) -> PhysicsState:
        """The worlds of `mask` (N,) start over at the given coordinates."""
        return batch.select(mask, self.init(qpos, qvel), state)

    def step(self, state: PhysicsState, target: Array) -> PhysicsState:
        """One control step with PD targets (N, 156) rad."""
        n, nq = state.qpos.shape
        nv = state.qvel.shape[-1]
        shapes = [(n, nq), (n, nv), (n, NUM_BODIES + 1, 3)]
        out: list[Any] = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        out += [jax.ShapeDtypeStruct((n, len(EDGES)), jnp.bool_), jax.ShapeDtypeStruct((n,), jnp.bool_)]
        qpos, qvel, force, edges, lost = jax.pure_callback(self._simulate, tuple(out), state.qpos, state.qvel, target)
        return dataclasses.replace(
            state,
            qpos=qpos,
            qvel=qvel,
            body_force=force[:, :NUM_BODIES],
            object_force=force[:, NUM_BODIES],
            edges=edges,
            overflow=state.overflow + lost.astype(jnp.int32),
        )

    def inspect(self) -> Inspected:
        """What PhysX itself says of masses, drives and materials, read back from a world."""
        with LOCK:
            self._provide(1)
            return inspect(self.scene, self._worlds[0])

    def close(self) -> None:
        """Ends the threads and frees the PhysX instances. A step after it raises RuntimeError."""
        self._pool.shutdown()
        with LOCK:
            self._closed = True
            for world in self._worlds.values():
                world.close()
            self._worlds = {}

    def _simulate(self, qpos: Array, qvel: Array, target: Array) -> tuple[np.ndarray, ...]:
        """The control step outside JAX; arrays as in `step`, force with the ball last."""
        q, v, goal = (np.asarray(x) for x in (qpos, qvel, target))
        n = len(q)
        alive = np.all([np.isfinite(x).all(axis=-1) for x in (q, v, goal)], axis=0)
        with LOCK:
            if self._closed:
                raise RuntimeError("this PhysX engine was closed; make another one")
            self._provide(n)
            columns = dof_columns(self.scene, self._worlds[0].dof_names)
            written = np.ones(n, bool) if self.renew == "always" else ~self._goes_on(q, v)
            # rows that are not finite are never written
            rest = self.scene.model.qpos0, np.zeros(v.shape[1]), np.zeros(goal.shape[1])
            q, v, goal = (np.where(alive[:, None], x, y) for x, y in zip((q, v, goal), rest, strict=True))
            room = Room.of(to_raw(self.scene, q, v, columns), self.scene.servo_targets(goal)[:, columns])
            if self.renew != "never":
                for row in np.flatnonzero(written & alive).tolist():
                    self._worlds[row].renew()
            shares = [np.flatnonzero(alive)[i :: self.threads] for i in range(self.threads)]
            list(self._pool.map(lambda rows: self._advance(rows, written, columns, room), shares))
            qpos_after, qvel_after = from_raw(self.scene, room.state, columns)
            sound = alive & np.all([np.isfinite(x).all(axis=-1) for x in (*room.state, room.force[..., 0])], axis=0)
            for row in np.flatnonzero(alive & ~sound).tolist():
                self._worlds.pop(row).close()
            for x in (qpos_after, qvel_after, room.force):
                x[~sound] = np.nan
            self._last = qpos_after.copy(), qvel_after.copy()
        return qpos_after, qvel_after, room.force, room.edges & sound[:, None], room.lost & sound

    def _provide(self, count: int) -> None:
        """A world for each of `count` rows."""
        for row in range(count):
            if row not in self._worlds:
                self._worlds[row] = World(self._usd, self.capacity)

    def _goes_on(self, q: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Which worlds (N,) are to the bit where the last step left them."""
        same = np.zeros(len(q), bool)
        if self._last is not None:
            count = min(len(q), len(self._last[0]))
            pairs = zip((q, v), self._last, strict=True)
            same[:count] = np.all([(a[:count] == b[:count]).all(axis=-1) for a, b in pairs], axis=0)
        return same

    def _advance(self, rows: np.ndarray, written: np.ndarray, columns: np.ndarray, room: Room) -> None:
        """One control step of the worlds `rows`."""
        for row in rows:
            world, state = self._worlds[row], [x[row : row + 1] for x in room.state]
            if written[row]:
                world.write(state)
            target = room.target[row : row + 1]
            world.aim(target)
            for _ in range(self.scene.substeps):
                if self.drive == "components":
                    world.positions(state[2])
                    world.aim(component_target(self.scene, state[2], target, columns))
                contacts = world.step(self.scene.timestep)
                room.force[row] += contacts.force / self.scene.substeps
                room.edges[row] |= contacts.edges
                room.lost[row] |= contacts.lost
            world.read(state)


class Room(NamedTuple):
    """Of one control step of N worlds: state, six arrays (N, ·) as `World` has them; target (N, S); force (N, 54, 3) N;
    edges (N, 3); lost (N,): contact points that did not fit."""

    state: list[np.ndarray]
    target: np.ndarray
    force: np.ndarray
    edges: np.ndarray
    lost: np.ndarray

    @classmethod
    def of(cls, state: list[np.ndarray], target: np.ndarray) -> Room:
        """No contact yet."""
        n = len(target)
        force, edges = np.zeros((n, NUM_BODIES + 1, 3), np.float32), np.zeros((n, len(EDGES)), bool)
        return cls(state, np.ascontiguousarray(target, np.float32), force, edges, np.zeros(n, bool))
