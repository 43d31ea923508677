"""The contact graph: published node flags from net forces, and the paper's edges from pairwise contacts.

Nodes of SkillMimic §3.3: hands (wrists and below), rest of the body, ball. The published code has no pairwise contacts
and watches two nodes instead (skillmimic.md §6.3); a wrong flag or edge multiplies the reward by exp(−λ).
"""

from __future__ import annotations

from mjx_skillmimic import rotations
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.rotations import Array

# The same names, in the same order, as `physics.base.EDGES`: columns of `BodyState.edges`.
EDGES = ("hands_object", "body_object", "hands_body")

_BODY_CONTACT = humanoid.indices(humanoid.BODY_CONTACT)


def body_contact(body_force: Array, threshold: float = 0.1) -> Array:
    """Node flag "body" (...), bool: some world component of some of the 17 bodies' net force reaches `threshold`.

    Hands, wrists, ankles and toes never count; self-collision does. Its reference is always 0.

    Args:
        body_force: (..., 53, 3) N. threshold: N, **included**.
    """
    xp = rotations.namespace(body_force)
    return xp.any(xp.abs(body_force[..., _BODY_CONTACT, :]) >= threshold, axis=(-2, -1))


def object_contact(object_force: Array, threshold: float = 0.1) -> Array:
    """Node flag "ball" (...), bool: a **horizontal** component of the ball's net force exceeds `threshold`.

    The vertical one is ignored so that a bounce on the floor does not count. Its reference is the contact label.

    Args:
        object_force: (..., 3) N. threshold: N, excluded.
    """
    xp = rotations.namespace(object_force)
    return xp.any(xp.abs(object_force[..., :2]) > threshold, axis=-1)


def reference_edges(label: Array) -> Array:
    """Edges (..., 3) that the clip's hand–ball label (...) asks for: hands–ball as labelled, no other contact."""
    xp = rotations.namespace(label)
    zero = xp.zeros_like(label)
    return xp.stack([label, zero, zero], axis=-1)


def edge_errors(edges: Array, label: Array) -> dict[str, Array]:
    """|e_j − ê_j| (...) of each edge by name, 0 or 1.

    Args:
        edges: (..., 3) bool, in the order of EDGES. label: (...) 0 or 1.
    """
    xp = rotations.namespace(edges, label)
    errors = xp.abs(edges.astype(label.dtype) - reference_edges(label))
    return {name: errors[..., j] for j, name in enumerate(EDGES)}
