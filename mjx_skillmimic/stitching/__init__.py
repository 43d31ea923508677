"""The stitched trajectory graph of SkillMimic-V2: from which frames of other skills a frame can be taken up.

`build_graph` searches it, `save_graph` and `load_graph` keep it, `buffer_steps` says how long an episode that begins in
another skill's state waits for its reference (docs/stitching.md).
"""

from mjx_skillmimic.stitching.buffers import buffer_steps
from mjx_skillmimic.stitching.graph import StitchedGraph, build_graph
from mjx_skillmimic.stitching.graph_file import GraphError, GraphFile, load_graph, read_graph, save_graph
from mjx_skillmimic.stitching.options import BALL_WEIGHTS, BODY_WEIGHTS, GraphOptions, SimilarityWeights

__all__ = [
    "BALL_WEIGHTS",
    "BODY_WEIGHTS",
    "GraphError",
    "GraphFile",
    "GraphOptions",
    "SimilarityWeights",
    "StitchedGraph",
    "buffer_steps",
    "build_graph",
    "load_graph",
    "read_graph",
    "save_graph",
]
