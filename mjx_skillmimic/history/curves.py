"""The losses of a pre-training against its epochs, as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mjx_skillmimic.viewing.curves import read_curves
from mjx_skillmimic.viewing.series import COLOURS

_LINES = (("loss", "loss"), ("body", "human"), ("object", "object"), ("held_out/loss", "loss, held out"))


def draw(metrics: Path, out: Path, still: float | None = None) -> Path:
    """Writes a PNG of the losses and of the code's mean squared norm, from the `metrics.jsonl` of a pre-training.

    still: the loss of predicting that nothing moves, drawn as a dotted line.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    curves = read_curves(metrics)
    epochs = curves["iteration"]
    figure, (losses, code) = pyplot.subplots(1, 2, figsize=(9.5, 3.4), constrained_layout=True)
    for (name, label), colour in zip(_LINES, COLOURS, strict=False):
        if name in curves:
            known = np.isfinite(curves[name])
            losses.plot(epochs[known], curves[name][known], label=label, color=colour, linewidth=1.2)
    if still is not None:
        losses.axhline(still, color="#4D4D4D", linestyle=":", linewidth=1.0, label="nothing moves")
    losses.set(yscale="log", xlabel="epoch", title="mean squared error of the next frame")
    losses.legend(fontsize=8, frameon=False)
    code.plot(epochs, curves["code"], color=COLOURS[0], linewidth=1.2)
    code.set(yscale="log", xlabel="epoch", title="mean squared norm of the code")
    for axis in (losses, code):
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=100)
    pyplot.close(figure)
    return out
