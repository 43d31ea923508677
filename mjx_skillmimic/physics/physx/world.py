"""One world in a PhysX instance of its own: built from USD text, written, stepped, read."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mjx_skillmimic.model.build import OBJECT
from mjx_skillmimic.model.humanoid import BODIES, HANDS
from mjx_skillmimic.physics import variants
from mjx_skillmimic.physics.physx.runtime import runtime
from mjx_skillmimic.physics.physx.usd import HUMANOID

_ORDINAL = 1  # of the only version of the stage
_ROOT = f"{HUMANOID}/{BODIES[0]}"
_BALL = f"/{OBJECT}"
_PATHS = [*(f"{HUMANOID}/{name}" for name in BODIES), _BALL]
_EDGES = variants.edge_table()


class Contacts(NamedTuple):
    """Of one physics step: force (54, 3) N on the 53 bodies and, last, the ball, normal and friction; edges (3,) bool
    as `EDGES`; lost: whether there were more contact points than fit."""

    force: np.ndarray
    edges: np.ndarray
    lost: bool


class World:
    """A PhysX instance with one world.

    Its state are six rows in PhysX's own layout: root pose (7, quaternion xyzw) and velocity (6, world frame), dof
    positions and rates (S) in rad, pose and velocity of the ball. dof_names: of PhysX's dofs, in its order.

    Args:
        usd: text of `write_usd`. capacity: contact points that a physics step may have.
    """

    def __init__(self, usd: str, capacity: int) -> None:
        lib = runtime()
        self._physx = lib.ovphysx.PhysX()
        self._stage = lib.ovstage.Stage(OBJECT)
        domains = lib.ovstage.PopulationDomain.ALL
        lib.ovstage.population.open_usd_from_string(self._stage, usd, ordinal=_ORDINAL, domains=domains)
        self._stage.advance_write_floor(ordinal=_ORDINAL).wait()
        self._normal, self._friction = (np.zeros((len(_PATHS), 3), np.float32) for _ in range(2))
        self._points = [np.zeros((capacity, width), np.float32) for width in (1, 3, 3, 1)]
        self._layout, self._actors = np.zeros((len(_PATHS), 2), np.int32), np.zeros((capacity, 2), np.uint64)
        self._attach()
        self.dof_names: list[str] = list(self._state[2].dof_names)

    def _attach(self) -> None:
        """Builds the PhysX scene and opens what is written and read."""
        self._physx.wait_task(self._physx.attach_ovstage(self._stage, read_ordinal=_ORDINAL))
        self._physx.warmup()
        kind = runtime().types.TensorType
        self._state = [
            self.bind(_ROOT, kind.ARTICULATION_ROOT_POSE),
            self.bind(_ROOT, kind.ARTICULATION_ROOT_VELOCITY),
            self.bind(_ROOT, kind.ARTICULATION_DOF_POSITION),
            self.bind(_ROOT, kind.ARTICULATION_DOF_VELOCITY),
            self.bind(_BALL, kind.RIGID_BODY_POSE),
            self.bind(_BALL, kind.RIGID_BODY_VELOCITY),
        ]
        self._target = self.bind(_ROOT, kind.ARTICULATION_DOF_POSITION_TARGET)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._sensors = self._physx.create_contact_binding(
                sensor_patterns=_PATHS, max_contact_data_count=len(self._actors)
            )
        found = self._sensors.sensor_paths
        self._rows = np.array([found.index(path) for path in _PATHS])
        self._names: dict[int, str] = {}
        self._found = 0
        self._used = False

    def bind(self, path: str, kind: int) -> Any:
        """An array of the runtime; its interface is deprecated, but the successor reads every joint by itself."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return self._physx.create_tensor_binding(pattern=path, tensor_type=kind)

    def _detach(self) -> None:
        for binding in (*self._state, self._target, self._sensors):
            binding.destroy()
        self._physx.wait_task(self._physx.detach_ovstage())

    def renew(self) -> None:
        """Builds the PhysX scene again: no contact point, friction anchor or order of pairs is left of the past."""
        if self._used:
            self._detach()
            self._attach()

    def write(self, state: Sequence[np.ndarray]) -> None:
        """Puts the world where the six rows (1, ·) float32 say."""
        for binding, row in zip(self._state, state, strict=True):
            binding.write(row)

    def positions(self, dof: np.ndarray) -> None:
        """Fills the row (1, S) float32 with the dofs' positions, rad."""
        self._state[2].read(dof)

    def aim(self, target: np.ndarray) -> None:
        """Sets the drives' targets (1, S) rad."""
        self._target.write(target)

    def step(self, seconds: float) -> Contacts:
        """One physics step, and the contacts of it."""
        self._used = True
        self._physx.step_sync(seconds)
        self._sensors.read_net_normal_forces(self._normal)
        self._sensors.read_net_friction_forces(self._friction)
        self._found = self._sensors.read_raw_contact_data(*self._points, self._layout, self._actors)
        edges = np.zeros(_EDGES.shape[-1], bool)
        for first, second in self.touching():
            edges |= _EDGES[_node(first), _node(second)]
        return Contacts((self._normal + self._friction)[self._rows], edges, self._found > len(self._actors))

    def touching(self) -> set[tuple[str, str]]:
        """Names of the bodies that pushed or overlapped each other in the last step, each pair both ways round."""
        count = min(self._found, len(self._actors))
        force, separation = self._points[0][:count, 0], self._points[3][:count, 0]
        actors = self._actors[:count][(force != 0.0) | (separation < 0.0)]
        return {(self._name(int(a)), self._name(int(b))) for a, b in set(map(tuple, actors.tolist()))}

    def _name(self, actor: int) -> str:
        if actor not in self._names:
            (path,) = self._sensors.get_other_actor_paths_from_ids(np.array([actor], np.uint64))
            self._names[actor] = path.rpartition("/")[2]
        return self._names[actor]

    def read(self, state: Sequence[np.ndarray]) -> None:
        """Fills the six rows (1, ·) float32 with where the world is."""
        for binding, row in zip(self._state, state, strict=True):
            binding.read(row)

    def close(self) -> None:
        """Frees the PhysX instance."""
        self._detach()
        self._stage.destroy()
        self._physx.destroy()


def _node(name: str) -> int:
    """Node of the contact graph of a body; the floor is none."""
    if name == OBJECT:
        return variants.OBJECT
    if name not in BODIES:
        return variants.WORLD
    return variants.HAND if name in HANDS else variants.BODY
