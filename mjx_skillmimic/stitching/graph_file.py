"""Stitched graphs as `.npz` files that know which clips they belong to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from mjx_skillmimic import npz
from mjx_skillmimic.learning.describe import versions
from mjx_skillmimic.motion.clip import MAX_FRAMES, NUM_SKILLS, MotionClip
from mjx_skillmimic.motion.library import motion_hash
from mjx_skillmimic.stitching.graph import StitchedGraph
from mjx_skillmimic.stitching.options import GraphOptions

FORMAT = "mjx_skillmimic stitched graph"
VERSION = 1
_ARRAYS = {"labels": np.int32, "clip": np.int32, "frame": np.int32, "similarity": np.float32}


class GraphError(ValueError):
    """A file that is no stitched graph, or one of other clips; names it, what was found and what was expected."""

    def __init__(self, path: str | Path, found: str, expected: str) -> None:
        super().__init__(f"{path}: found {found}; expected {expected}")


@dataclasses.dataclass(frozen=True, eq=False)
class GraphFile:
    """What a file holds: the graph, its C clips' names, labels, frame counts and hashes, and what else is known of it.

    metadata: `options` of the search, `versions` of the packages, and what the writer added.
    """

    graph: StitchedGraph
    names: tuple[str, ...]
    skills: np.ndarray
    lengths: np.ndarray
    hashes: tuple[str, ...]
    metadata: dict[str, Any]


def save_graph(
    path: str | Path, graph: StitchedGraph, clips: Sequence[MotionClip], options: GraphOptions, **metadata: Any
) -> Path:
    """Writes a compressed .npz without pickle and returns its path.

    clips: those of the table, in its order. metadata: more to keep, plain types.

    Raises:
        ValueError: the graph has another number of frames than the clips.
    """
    lengths = np.array([clip.num_frames for clip in clips], np.int32)
    if lengths.sum() != len(graph.clip):
        raise ValueError(f"the graph has {len(graph.clip)} frames, the clips {lengths.sum()}")
    meta = {"format": FORMAT, "version": VERSION, "options": options.as_json(), "versions": versions()} | metadata
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {name: np.asarray(getattr(graph, name), kind) for name, kind in _ARRAYS.items()}
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            meta=np.array(json.dumps(meta)),
            names=np.array([clip.name for clip in clips]),
            skills=np.array([clip.skill for clip in clips], np.int32),
            lengths=lengths,
            hashes=np.array([motion_hash([clip]) for clip in clips]),
            **arrays,
        )
    return path


def load_graph(path: str | Path, clips: Sequence[MotionClip]) -> StitchedGraph:
    """The graph of a file for the clips of a table, in the table's order, whatever their order was when it was made.

    Raises:
        FileNotFoundError: there is no such file.
        GraphError: it is damaged, or belongs to other clips.
    """
    file = read_graph(path)
    hashes = [motion_hash([clip]) for clip in clips]
    if sorted(hashes) != sorted(file.hashes):
        mine = [(clip.name, int(clip.num_frames)) for clip in clips]
        theirs = list(zip(file.names, file.lengths.tolist(), strict=True))
        other = "other contents of " if sorted(mine) == sorted(theirs) else ""
        raise GraphError(path, f"a graph of {other}{_listed(theirs)}", f"one of {_listed(mine)}")
    # Equal clips are told apart by their order.
    order = np.empty(len(hashes), int)
    order[np.argsort(hashes, kind="stable")] = np.argsort(file.hashes, kind="stable")
    return _reordered(file, order)


def _reordered(file: GraphFile, order: np.ndarray) -> StitchedGraph:
    """The graph with its clips in another order: the i-th was order[i] before."""
    if np.array_equal(order, np.arange(len(order))):
        return file.graph
    starts = np.cumsum(file.lengths) - file.lengths
    rows = np.concatenate([starts[old] + np.arange(file.lengths[old]) for old in order])
    place = np.append(np.argsort(order), -1)  # behind the clips, what −1 takes
    graph = file.graph
    return StitchedGraph(
        labels=graph.labels,
        clip=jnp.asarray(place[np.asarray(graph.clip)[rows]], jnp.int32),
        frame=graph.frame[rows],
        similarity=graph.similarity[rows],
    )


def read_graph(path: str | Path) -> GraphFile:
    """Whatever graph a file holds; nothing in it is executed. Raises FileNotFoundError, GraphError."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no stitched graph {path}")
    try:
        arrays = npz.read_arrays(path)
        meta = npz.description(arrays, "meta", FORMAT, VERSION)
    except npz.UnreadableError as error:
        raise GraphError(path, str(error), "a stitched graph") from error
    except npz.DescriptionError as error:
        raise GraphError(path, error.found, error.expected) from error
    missing = sorted({*_ARRAYS, "names", "skills", "lengths", "hashes"} - set(arrays))
    if missing:
        raise GraphError(path, f"no {', '.join(missing)}", "every part of a stitched graph")
    if fault := _fault(arrays):
        raise GraphError(path, *fault)
    graph = StitchedGraph(**{name: jnp.asarray(arrays[name], kind) for name, kind in _ARRAYS.items()})
    names, hashes = (tuple(str(text) for text in arrays[part]) for part in ("names", "hashes"))
    return GraphFile(graph, names, arrays["skills"], arrays["lengths"], hashes, meta)


def _fault(arrays: dict[str, np.ndarray]) -> tuple[str, str] | None:
    """What is wrong with the arrays of a file, and what was expected."""
    clips = arrays["names"].shape
    integers = ("skills", "lengths", "labels", "clip", "frame")
    if len(clips) != 1 or any(arrays[name].shape != clips for name in ("skills", "lengths", "hashes")):
        return "names, labels, lengths and hashes of different numbers of clips", "one of each a clip"
    if any(arrays[name].dtype.kind not in "iu" for name in integers) or arrays["similarity"].dtype.kind != "f":
        kinds = ", ".join(f"{name} {arrays[name].dtype}" for name in (*integers, "similarity"))
        return f"arrays of types {kinds}", "integers, and similarities of floating point"
    skills = arrays["skills"]
    if not np.array_equal(arrays["labels"], np.unique(skills)) or (skills < 0).any() or (skills >= NUM_SKILLS).any():
        listed = arrays["labels"].ravel().tolist()[:10]
        return f"labels {listed}", f"those of its clips, ascending, each from 0 to {NUM_SKILLS - 1}"
    if (arrays["lengths"] < 1).any() or (arrays["lengths"] > MAX_FRAMES).any():
        return f"clips of {arrays['lengths'].tolist()[:10]} frames", f"1 to {MAX_FRAMES}"
    shape = (int(arrays["lengths"].sum()), len(arrays["labels"]))
    if any(arrays[name].shape != shape for name in ("clip", "frame", "similarity")):
        shapes = [arrays[name].shape for name in ("clip", "frame", "similarity")]
        return f"clip, frame, similarity of shapes {shapes}", f"{shape}, frames and labels"
    clip, frame, similarity = (arrays[name] for name in ("clip", "frame", "similarity"))
    found = clip >= 0
    inside = (clip < clips[0]) & (frame >= 0) & (frame < arrays["lengths"][np.minimum(clip, clips[0] - 1)])
    of_label = arrays["skills"][np.minimum(clip, clips[0] - 1)] == arrays["labels"]
    likely = (similarity > 0.0) & (similarity <= 1.0)
    sound = np.where(found, inside & of_label & likely, (clip == -1) & (frame == -1) & (similarity == 0.0))
    if not sound.all():
        row, column = np.argwhere(~sound)[0]
        at = f"donor clip {clip[row, column]}, frame {frame[row, column]}, similarity {similarity[row, column]}"
        return (
            f"{at} for row {row} and label {arrays['labels'][column]}",
            "one of a clip of the label, or −1, −1, 0",
        )
    return None


def _listed(clips: Sequence[tuple[str, int]], most: int = 12) -> str:
    """Clips as words."""
    words = [f"{name} ({frames} frames)" for name, frames in clips[:most]]
    return ", ".join(words) + (f" and {len(clips) - most} more" if len(clips) > most else "")
