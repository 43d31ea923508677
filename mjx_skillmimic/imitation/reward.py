"""The unified imitation reward: named factors of one published formula, combined in one place (SkillMimic §3.3)."""

from __future__ import annotations

import dataclasses
from typing import Any

from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.imitation import contact_graph
from mjx_skillmimic.imitation.combination import SHARES, TERMS, combined
from mjx_skillmimic.imitation.options import RewardOptions, has_label
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.rotations import Array

SMOOTHNESS_WEIGHT = 0.1  # hard-coded in the published code

# Factors that see the ball; for skill class 000 (get up, no ball) their weights are zero (skillmimic.md §3.6).
_BALL_FACTORS = ("op", "ig", "cg1", "cg2", "cg_hands_object", "cg_body_object", "cg_hands_body")


@struct.dataclass
class RewardWeights:
    """Weights λ of the factors exp(−λ·error), each a number or (...) per world. The defaults are the published ones.

    p positions, r rotations, pv/rv their velocities, op/or_/opv/orv the ball's position, rotation and velocities, ig
    vectors from the ball to the body, cg1/cg2 the node flags "body" and "ball", cg_* the edges of the contact graph.
    ee and root: key bodies and root apart, for `RewardOptions.combine` "deepmimic" only.
    """

    p: Array = 20.0
    r: Array = 20.0
    pv: Array = 0.0
    rv: Array = 0.0
    op: Array = 1.0
    or_: Array = 0.0
    opv: Array = 0.0
    orv: Array = 0.0
    ig: Array = 20.0
    cg1: Array = 5.0
    cg2: Array = 5.0
    cg_hands_object: Array = 5.0
    cg_body_object: Array = 5.0
    cg_hands_body: Array = 5.0
    ee: Array = 0.0
    root: Array = 0.0

    def for_skill(self, label: Array) -> RewardWeights:
        """Weights (...) per world for skill labels (...): those of the ball and contacts are 0 for label 0."""
        xp = rotations.namespace(label)
        kept = {name: xp.where(label == 0, 0.0, getattr(self, name)) for name in _BALL_FACTORS}
        return self.replace(**kept)  # type: ignore[attr-defined]


def check_weights(weights: RewardWeights, options: RewardOptions) -> None:
    """Raises ValueError for weights that would silently do nothing; call it once, with concrete numbers.

    The reference row holds neither key-body velocities nor the ball's angular velocity, so the errors of `pv` and `orv`
    are zero in both presets, and that of `or_` unless `object_rotation_error` is "geodesic". The `reference` preset
    accepts them, as the published code does. `combine` "deepmimic" and "terms" have factors of their own.
    """
    sums: dict[str, dict[str, float]] = {"deepmimic": SHARES, "terms": TERMS}
    own = set(sums.get(options.combine, set(weight_names()) - {"ee", "root"}))
    if unused := [name for name in weight_names() if name not in own and float(getattr(weights, name)) != 0.0]:
        raise ValueError(
            f"reward weights {', '.join(unused)}: expected 0, for reward.combine {options.combine!r} does not use them"
        )
    if options.object_rotation_error == "zero":
        return
    idle = [name for name in ("pv", "orv") if float(getattr(weights, name)) != 0.0]
    if idle:
        raise ValueError(
            f"reward weights {', '.join(idle)}: expected 0, for the reference row has no such velocities; "
            "use rv (joints) or opv (ball)"
        )


def imitation_reward(
    sim: Features,
    ref: Features,
    prev_dof_vel: Array,
    body_contact: Array,
    object_contact: Array,
    weights: RewardWeights,
    options: RewardOptions,
    edges: Array | None = None,
    label: Array | None = None,
) -> tuple[Array, dict[str, Array]]:
    """Reward (...), and its factors by name, each (...) in [0, 1], which `options.combine` makes it of.

    The reward lies in [0, 1] but for "terms", where it lies in [0, 4].

    Args:
        sim, ref: the states to compare; which step `sim` belongs to (`options.lag`) is the caller's choice.
        prev_dof_vel: (..., 156) rad/s, `sim.dof_vel` of one control step earlier.
        body_contact, object_contact: (...) node flags of `contact_graph`, used if `options.contact` is "nodes".
        edges: (..., 3) bool, `BodyState.edges`, used if it is "edges".
        label: (...) int, the skill of `ref`, used if `options.without_object` names some.

    Raises:
        ValueError: `options.contact` is "edges" and `edges` is missing, or `label` is where it is needed.
    """
    alone = has_label(label, options.without_object, "RewardOptions.without_object")
    if options.combine == "deepmimic":
        factors = deepmimic_factors(sim, ref, weights, options)
    elif options.combine == "terms":
        plain = dataclasses.replace(options, smoothness="off")
        every = body_factors(sim, ref, prev_dof_vel, weights, plain) | object_factors(sim, ref, weights, options)
        factors = {name: every[name] for name in TERMS}
    else:
        factors = {
            **body_factors(sim, ref, prev_dof_vel, weights, options),
            **object_factors(sim, ref, weights, options),
            **contact_factors(ref.contact, body_contact, object_contact, edges, weights, options),
        }
    return combined(factors, options.combine, alone), factors


def body_factors(
    sim: Features, ref: Features, prev_dof_vel: Array, weights: RewardWeights, options: RewardOptions
) -> dict[str, Array]:
    """p, r, pv, rv and, if it is on, smooth."""
    xp = rotations.namespace(sim.root_pos, ref.root_pos)
    errors = {
        "p": _mean_square(xp, _points(xp, sim) - _points(xp, ref), (-2, -1)),
        "r": rotation_error(sim, ref, options),
        "pv": xp.zeros_like(sim.root_pos[..., 0]),
        "rv": _mean_square(xp, sim.dof_vel - ref.dof_vel),
    }
    factors = {name: xp.exp(-getattr(weights, name) * error) for name, error in errors.items()}
    if options.smoothness == "published":
        factors["smooth"] = xp.exp(-SMOOTHNESS_WEIGHT * smoothness_error(sim.dof_vel, prev_dof_vel, ref.dof_vel))
    return factors


def object_factors(sim: Features, ref: Features, weights: RewardWeights, options: RewardOptions) -> dict[str, Array]:
    """op, or, opv, orv and ig."""
    xp = rotations.namespace(sim.object_pos, ref.object_pos)
    zero = xp.zeros_like(sim.object_pos[..., 0])
    turned = options.object_rotation_error == "geodesic"
    grip = _points(xp, sim) - sim.object_pos[..., None, :] - (_points(xp, ref) - ref.object_pos[..., None, :])
    errors = {
        "op": _mean_square(xp, sim.object_pos - ref.object_pos),
        "or": rotations.geodesic(ref.object_quat, sim.object_quat) ** 2 / 3.0 if turned else zero,
        "opv": _mean_square(xp, sim.object_lin_vel - ref.object_lin_vel),
        "orv": zero,
        "ig": _mean_square(xp, grip, (-2, -1)),
    }
    return {name: xp.exp(-_weight(weights, name) * error) for name, error in errors.items()}


def contact_factors(
    label: Array,
    body_contact: Array,
    object_contact: Array,
    edges: Array | None,
    weights: RewardWeights,
    options: RewardOptions,
) -> dict[str, Array]:
    """cg1 (body) and cg2 (ball) for "nodes"; cg_hands_object, cg_body_object, cg_hands_body for "edges".

    Together they are exp(−Σ_j λ_j |e_j − ê_j|), the contact-graph reward of SkillMimic §3.3.
    """
    xp = rotations.namespace(label)
    if options.contact == "nodes":
        errors = {
            "cg1": body_contact.astype(label.dtype),
            "cg2": xp.abs(object_contact.astype(label.dtype) - label),
        }
    elif edges is None:
        raise ValueError("RewardOptions.contact is 'edges', but no edges were given; pass BodyState.edges")
    else:
        errors = {f"cg_{name}": error for name, error in contact_graph.edge_errors(edges, label).items()}
    return {name: xp.exp(-_weight(weights, name) * error) for name, error in errors.items()}


def deepmimic_factors(sim: Features, ref: Features, weights: RewardWeights, options: RewardOptions) -> dict[str, Array]:
    """r, rv, ee, root and op: pose, velocity, end effectors and root of DeepMimic (Peng et al. 2018, §5), and the ball.

    ee and root are means over the 17 key bodies' and the root's components of the squared distance in m².
    """
    xp = rotations.namespace(sim.root_pos, ref.root_pos)
    errors = {
        "r": rotation_error(sim, ref, options),
        "rv": _mean_square(xp, sim.dof_vel - ref.dof_vel),
        "ee": _mean_square(xp, sim.key_body_pos - ref.key_body_pos, (-2, -1)),
        "root": _mean_square(xp, sim.root_pos - ref.root_pos),
        "op": _mean_square(xp, sim.object_pos - ref.object_pos),
    }
    return {name: xp.exp(-getattr(weights, name) * error) for name, error in errors.items()}


def rotation_error(sim: Features, ref: Features, options: RewardOptions) -> Array:
    """Error (...) in rad² of the root's and the 52 joints' rotations, a mean over 159 components.

    "componentwise": mean of squared differences of rotation vectors. "geodesic": Σ_j |log(q̂_j⁻¹ q_j)|² / 159, the
    squared angle of each joint's remaining rotation instead. Near zero pose the two agree; the latter has no jump.
    """
    xp = rotations.namespace(sim.dof_pos, ref.dof_pos)
    ours = xp.concatenate([sim.root_rotvec, sim.dof_pos], axis=-1)
    theirs = xp.concatenate([ref.root_rotvec, ref.dof_pos], axis=-1)
    if options.rotation_error == "geodesic":
        ours, theirs = (rotations.exp(x.reshape(*x.shape[:-1], -1, 3)) for x in (ours, theirs))
        difference = rotations.log(rotations.multiply(rotations.conjugate(theirs), ours))
        return _mean_square(xp, difference, (-2, -1))
    return _mean_square(xp, ours - theirs)


def smoothness_error(dof_vel: Array, prev_dof_vel: Array, ref_dof_vel: Array) -> Array:
    """Published regulariser (...): mean of (v − v_prev)² / ((v̂² + 1e-12)·1e12), near 0 unless v̂ is exactly zero."""
    xp = rotations.namespace(dof_vel, prev_dof_vel, ref_dof_vel)
    change = dof_vel - prev_dof_vel
    return xp.mean(change * change / ((ref_dof_vel * ref_dof_vel + 1e-12) * 1e12), axis=-1)


def factor_names(options: RewardOptions) -> tuple[str, ...]:
    """Names of the factors that `imitation_reward` returns, in order; log each as "reward/<name>"."""
    if options.combine in ("deepmimic", "terms"):
        return tuple(SHARES if options.combine == "deepmimic" else TERMS)
    body = ("p", "r", "pv", "rv") + (("smooth",) if options.smoothness == "published" else ())
    contact = ("cg1", "cg2") if options.contact == "nodes" else tuple(f"cg_{name}" for name in contact_graph.EDGES)
    return (*body, "op", "or", "opv", "orv", "ig", *contact)


def terms_weights() -> RewardWeights:
    """The published weights of `RewardOptions.combine` "terms", the DeepMimic of SkillMimic-V2; all others 0."""
    return RewardWeights(**{**dict.fromkeys(weight_names(), 0.0), **TERMS})


def weight_names() -> tuple[str, ...]:
    """Fields of `RewardWeights`, for configurations."""
    return tuple(field.name for field in dataclasses.fields(RewardWeights))


def _weight(weights: RewardWeights, factor: str) -> Array:
    """The factor's weight; "or" is a Python keyword, so its field is `or_`."""
    return getattr(weights, "or_" if factor == "or" else factor)


def _points(xp: Any, features: Features) -> Array:
    """The 18 tracked points (..., 18, 3): root, then key bodies."""
    return xp.concatenate([features.root_pos[..., None, :], features.key_body_pos], axis=-2)


def _mean_square(xp: Any, x: Array, axes: int | tuple[int, ...] = -1) -> Array:
    return xp.mean(x * x, axis=axes)
