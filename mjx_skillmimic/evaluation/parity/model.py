"""The facts of several engines side by side, every difference with its reason or called unexplained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from mjx_skillmimic.benchmark.engines import Engine
from mjx_skillmimic.evaluation.parity.facts import MATERIALS, NAMES, Facts, facts_of
from mjx_skillmimic.evaluation.parity.machines import machine
from mjx_skillmimic.evaluation.parity.replay import scene_for
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.options import SceneOptions
from mjx_skillmimic.physics.registry import make_physics

FORMAT = "mjx_skillmimic parity model"
_RELATIVE = 2e-6  # of the greatest value: what float32 keeps
_ABSENT = "the first engine has nothing like it"
_DOFS = tuple(f"{name} {axis}" for name in BODIES[1:] for axis in "xyz")


@dataclasses.dataclass(frozen=True)
class Known:
    """A difference with its reason. quantity: as in `rows`, or its beginning with a * behind it; engines: with which
    it is expected, on either side."""

    quantity: str
    engines: tuple[str, ...]
    reason: str

    def holds(self, quantity: str, pair: Sequence[str]) -> bool:
        """Whether this explains a difference between two engines."""
        name = self.quantity
        same = quantity.startswith(name[:-1]) if name.endswith("*") else quantity == name
        return same and any(engine.partition(":")[0] in self.engines for engine in pair)


KNOWN: tuple[Known, ...] = (
    Known("damping", ("physx",), "MuJoCo's carries dt·kp of the implicit PD step (docs/physics.md); kd meant is equal"),
    Known("armature", ("physx",), "MuJoCo's carries dt·kd + dt²·kp of the implicit PD step; the armature is equal"),
    Known(
        "restitution, ball*",
        ("physx",),
        "MuJoCo has no coefficient: solref and solimp were tuned to it, with a scatter (docs/physics.md, Restitution)",
    ),
    Known(
        "restitution, body*",
        ("physx",),
        "soft contact, critically damped with 0.02 s, for PhysX's hard inelastic one; on the floor PhysX averages 0 "
        "and the floor's 0.8 to 0.4 for bodies faster than the bounce threshold",
    ),
    Known("solver", ("physx",), "Newton on a convex cost, to convergence; PhysX's TGS sweeps a fixed number of times"),
    Known("iterations", ("physx",), "a limit that Newton seldom reaches; TGS always makes its 4 sweeps"),
    Known("friction cone", ("physx",), "four-sided pyramid in MuJoCo; PhysX bounds each friction anchor of a patch"),
    Known("contact margin m", ("physx",), "PhysX begins to brake bodies within the contact offset, MuJoCo at touch"),
    Known("linear damping 1/s", ("physx",), "published for the ball; MuJoCo has no damping of free bodies"),
    Known("angular damping 1/s", ("physx",), "published 0.01 1/s; MuJoCo has no damping of free bodies"),
    Known("shapes", ("mjx-jax",), "corner soles: MJX-JAX meets a tilted box in other points (docs/physics.md, Feet)"),
)


def compare(engines: Sequence[Engine], options: SceneOptions | None = None) -> dict[str, Any]:
    """The document of these engines, the first one the measure of the others. Raises as `make_physics` does."""
    found, machines = [], {}
    for engine in engines:
        scene = scene_for(engine.name, options)
        facts = dataclasses.replace(
            facts_of(make_physics(engine.name, scene, **dict(engine.options))), engine=str(engine)
        )
        found.append(facts)
        machines[facts.engine] = {"machine": machine(), "feet": scene.options.feet}
    table = rows(found, scene.timestep)
    return {"format": FORMAT, "engines": [f.engine for f in found], "machines": machines, "rows": table}


def rows(facts: Sequence[Facts], dt: float) -> list[dict[str, Any]]:
    """A row a quantity: "quantity", "unit", "values" by engine as text, "difference" from the first engine by engine
    (None: equal to float32) and "reason" by engine (None: unexplained).

    dt: s, of a physics step. Raises ValueError for no engines.
    """
    if not facts:
        raise ValueError("expected the facts of at least one engine")
    table = [_numbers(facts, *entry) for entry in _quantities(facts, dt)]
    table.append(_words(facts, "shapes", [_shape_words(f) for f in facts], [dict(f.shapes) for f in facts]))
    table.append(_words(facts, "pairs that may touch", [f"{len(f.pairs)}" for f in facts], [f.pairs for f in facts]))
    for kind in MATERIALS:
        for name in ("friction", "restitution"):
            values = [getattr(f, name).get(kind) for f in facts]
            table.append(_words(facts, f"{name}, {kind}", [_text(x) for x in values], values))
    for name in dict.fromkeys(name for f in facts for name in f.settings):
        values = [f.settings.get(name) for f in facts]
        row = _words(facts, name, [_text(x) for x in values], values)
        if values[0] is None:
            row["reason"] = {engine: _ABSENT if apart else None for engine, apart in row["difference"].items()}
        table.append(row)
    return table


def unexplained(table: Sequence[dict[str, Any]]) -> list[str]:
    """Quantities that differ without a known reason."""
    return [r["quantity"] for r in table if any(d and not r["reason"][e] for e, d in r["difference"].items())]


def _quantities(facts: Sequence[Facts], dt: float) -> list[tuple[str, str, list[np.ndarray], tuple[str, ...]]]:
    """Name, unit, arrays of each engine, and what a row of the arrays is called."""
    joints = BODIES[1:]
    meant = [f.unfolded(dt) for f in facts]
    # a quaternion and its negative are one turn
    turns = [f.joint_turn * np.where(f.joint_turn[:, :1] < 0, -1.0, 1.0) for f in facts]
    return [
        ("mass", "kg", [f.mass for f in facts], NAMES),
        ("centre of mass", "m", [f.com for f in facts], NAMES),
        ("inertia", "kg·m²", [f.inertia for f in facts], NAMES),
        ("joint place in parent", "m", [f.joint_place for f in facts], joints),
        ("joint turn in parent", "", turns, joints),
        ("kp meant", "N·m/rad", [m[0] for m in meant], _DOFS),
        ("kd meant", "N·m·s/rad", [m[1] for m in meant], _DOFS),
        ("armature meant", "kg·m²", [m[2] for m in meant], _DOFS),
        ("damping", "N·m·s/rad", [f.damping for f in facts], _DOFS),
        ("armature", "kg·m²", [f.armature for f in facts], _DOFS),
        ("effort limit", "N·m", [f.effort_limit for f in facts], _DOFS),
        ("range of a joint", "rad", [f.range for f in facts], _DOFS),
        ("speed limit of a joint", "rad/s", [f.speed_limit for f in facts], _DOFS),
    ]


def _numbers(
    facts: Sequence[Facts], quantity: str, unit: str, arrays: list[np.ndarray], names: tuple[str, ...]
) -> dict[str, Any]:
    first, differences = arrays[0], {}
    for f, other in zip(facts[1:], arrays[1:], strict=True):
        differences[f.engine] = _difference(first, other, unit, names)
    values = {f.engine: _range(array, unit) for f, array in zip(facts, arrays, strict=True)}
    return _row(facts, quantity, unit, values, differences)


def _difference(first: np.ndarray, other: np.ndarray, unit: str, names: tuple[str, ...]) -> str | None:
    """The greatest difference in words, None where both are equal to float32."""
    if first.shape != other.shape:
        return f"shape {other.shape} instead of {first.shape}"
    same = first == other
    apart = np.where(same, 0.0, np.abs(np.where(same, 0.0, other) - np.where(same, 0.0, first)))
    finite = first[np.isfinite(first)]
    scale = max(float(np.abs(finite).max()) if finite.size else 0.0, 1e-9)
    if not (apart > _RELATIVE * scale).any():
        return None
    at = np.unravel_index(int(np.argmax(apart)), apart.shape)
    # of the value there, or of the whole body where a component is zero
    size = float(np.abs(first[at[0]]).max())
    share = f" ({100 * apart[at] / size:.2g} %)" if size > 0 and np.isfinite(apart[at] / size) else ""
    count = int((apart.reshape(len(apart), -1) > _RELATIVE * scale).any(axis=-1).sum())
    return f"{apart[at]:.3g} {unit}{share} at {names[at[0]]}; {count} of {len(apart)} differ".replace("  ", " ")


def _words(facts: Sequence[Facts], quantity: str, texts: list[str], values: list[Any]) -> dict[str, Any]:
    differences = {
        f.engine: None if _equal(values[0], value) else _apart(values[0], value)
        for f, value in zip(facts[1:], values[1:], strict=True)
    }
    return _row(facts, quantity, "", {f.engine: t for f, t in zip(facts, texts, strict=True)}, differences)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, float | int) and isinstance(b, float | int):
        return bool(np.isclose(a, b, rtol=_RELATIVE, atol=0.0))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(
            a[k][0] == b[k][0] and np.allclose(a[k][1], b[k][1], rtol=1e-5, atol=1e-9) for k in a
        )
    return a == b


def _apart(a: Any, b: Any) -> str:
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        pairs = sorted("–".join(sorted(pair)) for pair in a ^ b)
        return f"{len(a - b)} only in the first, {len(b - a)} only here: {', '.join(pairs[:4])}"
    if isinstance(a, dict) and isinstance(b, dict):
        changed = sorted(k for k in a.keys() | b.keys() if not (k in a and k in b and _equal({k: a[k]}, {k: b[k]})))
        return f"{len(changed)} differ: {', '.join(changed[:4])}"
    return "differs"


def _row(
    facts: Sequence[Facts], quantity: str, unit: str, values: dict[str, str], differences: dict[str, str | None]
) -> dict[str, Any]:
    reasons = {
        engine: next((k.reason for k in KNOWN if k.holds(quantity, (facts[0].engine, engine))), None)
        if difference
        else None
        for engine, difference in differences.items()
    }
    return {"quantity": quantity, "unit": unit, "values": values, "difference": differences, "reason": reasons}


def _range(array: np.ndarray, unit: str) -> str:
    finite = array[np.isfinite(array)]
    if not finite.size:
        return "none"
    low, high = f"{finite.min():.4g}", f"{finite.max():.4g}"
    more = "" if finite.size == array.size else ", or none"
    return (low if low == high else f"{low} to {high}") + more


def _shape_words(facts: Facts) -> str:
    kinds = [kind for kind, _ in facts.shapes.values()]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
