"""What SkillMimicV2's worlds share beside the motion table; what an option does not need is None."""

from __future__ import annotations

from typing import Any

from flax import struct

from mjx_skillmimic.envs.v2 import ats, retime
from mjx_skillmimic.envs.v2.history import Remembered, build_remembered
from mjx_skillmimic.envs.v2.options import V2Options
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.table import MotionTable
from mjx_skillmimic.stitching.graph import StitchedGraph, build_graph
from mjx_skillmimic.stitching.graph_file import load_graph
from mjx_skillmimic.stitching.options import GraphOptions


@struct.dataclass
class V2Tables:
    """cells: start frames of adaptive sampling; frames: what re-timing compares; graph: who resembles whom of another
    skill; history: the encoder, and every frame as it sees it."""

    cells: ats.Cells | None
    frames: retime.Frames | None
    graph: StitchedGraph | None
    history: Remembered | None


def build_own(
    motions: MotionTable, clips: list[MotionClip], scene: Scene, own: V2Options, encoder: Any = None
) -> V2Tables:
    """The tables that the options need; encoder: a `history.encoder_file.Encoder`, if there is to be a history.

    Raises FileNotFoundError or GraphError for a graph that is not there or of other clips, ValueError where clips of
    one label are to be stitched.
    """
    switches = own.switch.probability > 0.0 and own.switch.donor == "graph"
    graph = None
    if switches:
        graph = load_graph(own.switch.graph, clips) if own.switch.graph else build_graph(motions, GraphOptions())
    return V2Tables(
        cells=ats.build_cells(motions, own.ats) if own.ats.alpha > 0.0 else None,
        frames=retime.build_frames(motions) if own.retime.search != "off" else None,
        graph=graph,
        history=None if encoder is None else build_remembered(motions, encoder, scene),
    )
