"""Names and groups of the BallPlay humanoid's bodies (skillmimic.md §1.2, §3.4, §4.2, §6.3), in asset order."""

from __future__ import annotations

BODIES = (
    "Pelvis",
    *("L_Hip", "L_Knee", "L_Ankle", "L_Toe"),
    *("R_Hip", "R_Knee", "R_Ankle", "R_Toe"),
    *("Torso", "Spine", "Spine2", "Chest", "Neck", "Head"),
    *("L_Thorax", "L_Shoulder", "L_Elbow", "L_Wrist"),
    *(f"L_{finger}{i}" for finger in ("Index", "Middle", "Pinky", "Ring", "Thumb") for i in (1, 2, 3)),
    *("R_Thorax", "R_Shoulder", "R_Elbow", "R_Wrist"),
    *(f"R_{finger}{i}" for finger in ("Index", "Middle", "Pinky", "Ring", "Thumb") for i in (1, 2, 3)),
)
NUM_BODIES = len(BODIES)
NUM_JOINTS = NUM_BODIES - 1
NUM_DOFS = 3 * NUM_JOINTS

_FINGERS = ("Index", "Middle", "Pinky", "Ring", "Thumb")
FINGERTIPS = tuple(f"{side}_{finger}3" for side in "LR" for finger in _FINGERS)

# The 17 points that imitation tracks, in the order of the reference row.
KEY_BODIES = ("Head", "L_Knee", "R_Knee", "L_Elbow", "R_Elbow", "L_Ankle", "R_Ankle", *FINGERTIPS)

# Node "hands" of the contact graph: wrists and everything below them.
HANDS = tuple(name for name in BODIES if name[2:].rstrip("123") in ("Wrist", *_FINGERS))

FEET = ("L_Ankle", "L_Toe", "R_Ankle", "R_Toe")

# The published body-contact flag watches everything but hands and feet.
BODY_CONTACT = tuple(name for name in BODIES if name not in HANDS and name not in FEET)


def indices(names: tuple[str, ...]) -> tuple[int, ...]:
    """Positions of `names` in BODIES. Raises KeyError that lists what exists."""
    missing = [name for name in names if name not in BODIES]
    if missing:
        raise KeyError(f"no body named {', '.join(missing)}; the humanoid has {', '.join(BODIES)}")
    return tuple(BODIES.index(name) for name in names)
