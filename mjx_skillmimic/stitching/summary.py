"""A stitched graph in numbers: records, similarities, buffer lengths, by pairs of labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.stitching.buffers import MOST_STEPS, buffer_steps
from mjx_skillmimic.stitching.graph_file import GraphFile


def summarise(file: GraphFile) -> dict[str, Any]:
    """Plain types. `all`: of all records; `pairs`: one entry for each label that is led to and label of the donors.

    Similarities and buffer steps are of the records with a donor; without one they are None. `histogram`: how many
    records have a similarity in [10^k, 10^(k+1)) for each `decade` k; `buffer_steps`: how many wait 0, 1, … 10 steps.
    """
    labels, similarity = np.asarray(file.graph.labels), np.asarray(file.graph.similarity)
    own = np.repeat(file.skills, file.lengths)
    other = own[:, None] != labels
    decades = list(range(-10, 0))
    bounds = np.array([*(float(f"1e{k}") for k in decades), np.inf], np.float32)
    found = similarity[other & (similarity > 0.0)]
    steps = np.asarray(buffer_steps(found))
    return {
        "clips": [
            {"name": name, "label": int(label), "frames": int(length), "hash": text}
            for name, label, length, text in zip(file.names, file.skills, file.lengths, file.hashes, strict=True)
        ],
        "all": _part(similarity[other]),
        "decade": decades,
        "histogram": np.histogram(found, bounds)[0].tolist(),
        "buffer_steps": np.bincount(steps, minlength=MOST_STEPS + 1).tolist(),
        "pairs": [
            {"to": int(to), "from": int(donor)} | _part(similarity[own == to, column])
            for to in labels
            for column, donor in enumerate(labels)
            if donor != to
        ],
        "options": file.metadata.get("options"),
        "key_bodies": file.metadata.get("key_bodies"),
        "seconds": file.metadata.get("seconds"),
        "versions": file.metadata.get("versions"),
    }


def _part(similarity: np.ndarray) -> dict[str, Any]:
    """Of some records (K,)."""
    found = similarity[similarity > 0.0]
    numbers = {"records": len(similarity), "without_donor": len(similarity) - len(found)}
    if not len(found):
        return numbers | {"least": None, "median": None, "greatest": None, "mean_buffer_steps": None}
    least, median, greatest = (float(f"{f(found):.6g}") for f in (np.min, np.median, np.max))
    mean = round(float(buffer_steps(found).mean()), 4)
    return numbers | {"least": least, "median": median, "greatest": greatest, "mean_buffer_steps": mean}


def markdown(summary: dict[str, Any]) -> str:
    """One line of all records, and a table: in each cell median similarity, mean buffer steps and what has no donor."""
    whole, labels = summary["all"], sorted({clip["label"] for clip in summary["clips"]})
    frames = sum(clip["frames"] for clip in summary["clips"])
    cells = {(pair["to"], pair["from"]): pair for pair in summary["pairs"]}
    lines = [
        f"{frames} frames of {len(summary['clips'])} clips, {len(labels)} labels: {whole['records']} records, "
        f"{whole['without_donor']} without donor",
        _similarities(whole),
        "",
        "| to \\ from | " + " | ".join(f"{label} {skill_name(label)}" for label in labels) + " |",
        "|---" * (len(labels) + 1) + "|",
    ]
    for to in labels:
        texts = ["–" if donor == to else _cell(cells[to, donor]) for donor in labels]
        lines.append(f"| {to} {skill_name(to)} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def _similarities(whole: dict[str, Any]) -> str:
    if whole["least"] is None:
        return "no frame has a donor"
    return (
        f"similarity {whole['least']:.3g} to {whole['greatest']:.4f}, median {whole['median']:.3g}; "
        f"{whole['mean_buffer_steps']:.2f} buffer steps on average"
    )


def _cell(pair: dict[str, Any]) -> str:
    if pair["median"] is None:
        return "none"
    without = f", {pair['without_donor']} without" if pair["without_donor"] else ""
    return f"{pair['median']:.1e}, {pair['mean_buffer_steps']:.1f}{without}"
