"""Which pairs of bodies touch in the frames of clips, and what share of the constraint rows they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco

from mjx_skillmimic.evaluation.contacts import reference_qpos
from mjx_skillmimic.model.build import FLOOR, OBJECT
from mjx_skillmimic.model.humanoid import HANDS
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.physics.needs import possible_pairs

KINDS = ("body_floor", "ball_floor", "hands_ball", "rest_ball", "same_hand", "hands_rest", "rest_rest")


def kind_of(first: str, second: str) -> str:
    """Which of `KINDS` a contact between two bodies is; the floor is called "floor".

    same_hand: both in one hand, wrist included; hands_rest: a hand with the other hand or with another body.
    """
    pair = {first, second}
    if FLOOR in pair:
        return "ball_floor" if OBJECT in pair else "body_floor"
    in_hand = [name for name in (first, second) if name in HANDS]
    if OBJECT in pair:
        return "hands_ball" if in_hand else "rest_ball"
    if len(in_hand) == 2 and first[0] == second[0]:
        return "same_hand"
    return "hands_rest" if in_hand else "rest_rest"


def contact_pairs(scene: Scene, clips: Sequence[MotionClip], top: int = 30) -> dict[str, Any]:
    """Contacts of all frames as they are, uncorrected.

    pairs: the `top` pairs of bodies that touch in most frames: [first, second, kind, share of frames, mean depth in mm
    while touching]; self_pairs: the same without ball and floor. kinds: for each of `KINDS` the mean number of contacts
    a frame, their share of all, the number of pairs of bodies that ever touch, and how many the model lets collide.
    """
    model = scene.model
    data = mujoco.MjData(model)
    names = [model.body(b).name if b else FLOOR for b in range(model.nbody)]
    touched: Counter[tuple[str, str]] = Counter()
    depth: Counter[tuple[str, str]] = Counter()
    contacts: Counter[str] = Counter()
    frames = 0
    for clip in clips:
        qpos, _ = reference_qpos(scene, clip)
        frames += len(qpos)
        for q in qpos:
            data.qpos[:] = q
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_collision(model, data)
            deepest: dict[tuple[str, str], float] = {}
            for geoms, distance in zip(data.contact.geom, data.contact.dist, strict=True):
                first, second = sorted(int(model.geom_bodyid[geom]) for geom in geoms)
                pair = names[first], names[second]
                contacts[kind_of(*pair)] += 1
                deepest[pair] = max(deepest.get(pair, 0.0), -float(distance))
            touched.update(deepest.keys())
            depth.update(deepest)
    allowed = Counter(kind_of(names[a], names[b]) for a, b in model.geom_bodyid[possible_pairs(model)])
    kinds = Counter(kind_of(*pair) for pair in touched)
    total = max(sum(contacts.values()), 1)
    rows = [
        [*pair, kind_of(*pair), round(count / frames, 4), round(1000.0 * depth[pair] / count, 1)]
        for pair, count in touched.most_common()
    ]
    return {
        "frames": frames,
        "contacts_a_frame": round(total / frames, 2),
        "pairs": rows[:top],
        "self_pairs": [row for row in rows if not {FLOOR, OBJECT} & set(row[:2])][:top],
        "kinds": {
            kind: {
                "contacts_a_frame": round(contacts[kind] / frames, 3),
                "share": round(contacts[kind] / total, 3),
                "pairs_seen": kinds[kind],
                "pairs_allowed": allowed[kind],
            }
            for kind in KINDS
        },
    }


def pair_report(scene: Scene, collections: Mapping[str, Sequence[MotionClip]]) -> dict[str, Any]:
    """`contact_pairs` of each collection."""
    return {name: contact_pairs(scene, clips) for name, clips in collections.items()}
