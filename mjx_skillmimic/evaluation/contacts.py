"""Where a clip's contact label and the simulator's contacts disagree, pose by pose, before any policy acts.

Every reference frame is put into MuJoCo C as it is: no velocity, PD targets equal to the pose, no correction of
overlaps. What touches then is what a perfect imitation would be judged by, so a disagreement is a loss of reward that
no policy can avoid without leaving the reference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from mjx_skillmimic.imitation import contact_graph
from mjx_skillmimic.model import clearance
from mjx_skillmimic.model.humanoid import HANDS, indices
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.derive import derive
from mjx_skillmimic.physics import sensors
from mjx_skillmimic.physics.base import EDGES

EDGE_WEIGHT = 5.0  # λ of a wrong edge or flag in both presets (skillmimic.md §6)
_HANDS_OBJECT, _BODY_OBJECT, _HANDS_BODY = (EDGES.index(n) for n in ("hands_object", "body_object", "hands_body"))
_MM = 1000.0


@dataclasses.dataclass(frozen=True)
class StaticContacts:
    """T frames of a clip. label (T,) bool: hands touch the ball, as the clip says. edges (T, 3) bool, in the order of
    EDGES; body_flag, ball_flag (T,) bool, the published node flags: as the simulator finds them. gap (T,) m: from the
    ball's surface to the nearest hand geom, negative where they overlap."""

    label: np.ndarray
    edges: np.ndarray
    body_flag: np.ndarray
    ball_flag: np.ndarray
    gap: np.ndarray


def concatenate(parts: Sequence[StaticContacts]) -> StaticContacts:
    """The frames of several clips as one. Raises ValueError for none."""
    names = [field.name for field in dataclasses.fields(StaticContacts)]
    return StaticContacts(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def reference_qpos(scene: Scene, clip: MotionClip) -> tuple[np.ndarray, np.ndarray]:
    """The clip's poses as qpos (T, 222), uncorrected, and the PD targets (T, 156) rad that hold them."""
    frames = derive(clip, dtype=np.float64)
    count = clip.num_frames
    still = np.zeros((count, 3))
    qpos, _ = scene.pack(
        np.asarray(frames.root_pos, np.float64),
        frames.root_quat,
        frames.joint_quat,
        still,
        still,
        np.zeros_like(frames.joint_vel),
        np.asarray(frames.object_pos, np.float64),
        frames.object_quat,
        still,
        still,
    )
    return qpos, np.asarray(clip.dof_pos, np.float64)


def static_contacts(scene: Scene, clip: MotionClip, threshold: float = 0.1) -> StaticContacts:
    """What touches in each frame of a clip; `threshold` (N) is that of the published flags (skillmimic.md §6.3)."""
    qpos, target = reference_qpos(scene, clip)
    ctrl = scene.servo_targets(target)
    model = sensors.with_contact_sensors(scene)
    data = mujoco.MjData(model)
    sensed = np.empty((len(qpos), model.nsensordata))
    for frame in range(len(qpos)):
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.ctrl[:] = qpos[frame], ctrl[frame]
        mujoco.mj_forward(model, data)
        sensed[frame] = data.sensordata
    body_force, object_force, edges = sensors.read(sensed)
    pos, quat = clearance.geom_poses(scene, qpos)
    centre = np.asarray(clip.object_pos, np.float64)
    depth, _ = clearance.sphere_depths(scene, centre, scene.object_radius, pos, quat)
    return StaticContacts(
        label=np.asarray(clip.contact) > 0.5,
        edges=np.asarray(edges, bool),
        body_flag=np.asarray(contact_graph.body_contact(body_force, threshold), bool),
        ball_flag=np.asarray(contact_graph.object_contact(object_force, threshold), bool),
        gap=-depth[:, list(indices(HANDS))].max(axis=-1),
    )


def disagreement(contacts: StaticContacts) -> dict[str, Any]:
    """Fractions of all frames, unless said otherwise, in which simulator and label disagree.

    frames, labelled: counts. hands_object_missing: labelled but not touching; …_extra: touching but not labelled.
    body_object, hands_body: edges that the reference never has. node_body, node_ball_missing, node_ball_extra: the same
    for the published flags. missing_of_labelled: share of the labelled frames; None without any. edges_factor,
    nodes_factor: mean of exp(−5 · number of wrong edges or flags), what the contact factor of the reward is worth on
    the reference pose. gap_median_mm, gap_max_mm: over the labelled frames; None without any.
    """
    label, touched = contacts.label, contacts.edges[:, _HANDS_OBJECT]
    missing, extra = label & ~touched, touched & ~label
    ball_missing, ball_extra = label & ~contacts.ball_flag, contacts.ball_flag & ~label
    wrong_edges = (missing | extra) + contacts.edges[:, [_BODY_OBJECT, _HANDS_BODY]].sum(axis=-1)
    wrong_nodes = (ball_missing | ball_extra).astype(int) + contacts.body_flag
    gap = _MM * contacts.gap[label]
    return {
        "frames": len(label),
        "labelled": int(label.sum()),
        "hands_object_missing": _mean(missing),
        "hands_object_extra": _mean(extra),
        "missing_of_labelled": _mean(missing[label]) if label.any() else None,
        "body_object": _mean(contacts.edges[:, _BODY_OBJECT]),
        "hands_body": _mean(contacts.edges[:, _HANDS_BODY]),
        "node_body": _mean(contacts.body_flag),
        "node_ball_missing": _mean(ball_missing),
        "node_ball_extra": _mean(ball_extra),
        "edges_factor": _mean(np.exp(-EDGE_WEIGHT * wrong_edges)),
        "nodes_factor": _mean(np.exp(-EDGE_WEIGHT * wrong_nodes)),
        "gap_median_mm": round(float(np.median(gap)), 2) if len(gap) else None,
        "gap_max_mm": round(float(gap.max()), 2) if len(gap) else None,
    }


def contact_report(scene: Scene, collections: Mapping[str, Sequence[MotionClip]]) -> dict[str, Any]:
    """{collection: {"total": …, "clips": [{"clip", "skill", …}]}} of `disagreement`s, clips in the order given."""
    result: dict[str, Any] = {}
    for name, clips in collections.items():
        found = [static_contacts(scene, clip) for clip in clips]
        result[name] = {
            "total": disagreement(concatenate(found)),
            "clips": [
                {"clip": clip.name, "skill": int(clip.skill)} | disagreement(contacts)
                for clip, contacts in zip(clips, found, strict=True)
            ],
        }
    return result


def _mean(values: np.ndarray) -> float:
    return round(float(np.mean(values)), 4)


_COLUMNS = (
    ("hands_object_missing", "hands–ball missing %", 100.0, 1),
    ("missing_of_labelled", "of labelled %", 100.0, 1),
    ("hands_object_extra", "hands–ball extra %", 100.0, 1),
    ("body_object", "body–ball %", 100.0, 1),
    ("hands_body", "hands–body %", 100.0, 1),
    ("node_body", "flag body %", 100.0, 1),
    ("node_ball_missing", "flag ball missing %", 100.0, 1),
    ("node_ball_extra", "flag ball extra %", 100.0, 1),
    ("edges_factor", "edges factor", 1.0, 2),
    ("nodes_factor", "flags factor", 1.0, 2),
    ("gap_median_mm", "gap median mm", 1.0, 1),
    ("gap_max_mm", "gap max mm", 1.0, 1),
)
_EXPLANATION = """\
Each reference frame as it is, put into {engine} without velocity and held by its own pose as PD target (scene
preset `{preset}`). Percentages are of all frames. *missing*: the clip's label says that hands touch the ball and
nothing touches, also as a share *of labelled* frames; *extra*: the reverse. The reference never has a body–ball or
hands–body edge, nor the published flag "body". *factor*: mean of exp(−5 · number of wrong edges, or flags): what the
reward's contact factor is worth on the reference pose itself. *gap*: from the ball's surface to the nearest hand geom
over the labelled frames; negative: overlap.
"""


def markdown(document: Mapping[str, Any]) -> str:
    """The page of {"engine", "preset", "command", "collections": `contact_report`}."""
    lines = ["# Where contacts and labels disagree", "", _EXPLANATION.format(**document)]
    lines += ["```sh", document["command"], "```", ""]
    header = ["", "frames", "labelled", *(title for _, title, _, _ in _COLUMNS)]
    table_head = [_line(header), _line(["---", *["---:"] * (len(header) - 1)])]
    collections = document["collections"]
    totals = [_cells(f"{name} ({len(c['clips'])} clips)", c["total"]) for name, c in collections.items()]
    lines += ["## In total", "", *table_head, *map(_line, totals), ""]
    for name, collection in collections.items():
        lines += [f"## {name}", "", *table_head]
        lines += [_line(_cells(clip["clip"], clip)) for clip in collection["clips"]]
        lines.append("")
    return "\n".join(lines)


def _cells(name: str, entry: Mapping[str, Any]) -> list[str]:
    values = [(entry[key], factor, digits) for key, _, factor, digits in _COLUMNS]
    shown = ["–" if value is None else f"{factor * value:.{digits}f}" for value, factor, digits in values]
    return [name, str(entry["frames"]), str(entry["labelled"]), *shown]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
