"""Every choice of the pre-training as a named option, with two presets (numbers in brackets: skillmimic_v2.md §12)."""

from __future__ import annotations

import dataclasses
from typing import Literal

from mjx_skillmimic.history.encoder import CODE_SIZE
from mjx_skillmimic.history.window import WINDOW
from mjx_skillmimic.imitation.options import check_choices, check_positive
from mjx_skillmimic.motion.missing import Missing


@dataclasses.dataclass(frozen=True)
class PretrainOptions:
    """How the encoder is taught; frozen and hashable, a static argument of jitted functions."""

    # Passes over the samples. Both: as published for the ball.
    epochs: int = 1000
    # Samples of a gradient step. Both.
    batch_size: int = 128
    # Of Adam. Both.
    learning_rate: float = 1e-3
    # What becomes of the learning rate. reference: "plateau", a tenth after `patience` epochs without a better loss.
    # default: "cosine" down to zero over all epochs, which ends where it was told to. Which is better is not measured.
    schedule: Literal["plateau", "cosine"] = "cosine"
    # Epochs without an improvement by 1e-4 of itself that "plateau" forgives. Both: 5.
    patience: int = 5
    # What the predictor's output is: the next "frame" (both, as published), or the "change" that leads to it.
    predicts: Literal["frame", "change"] = "frame"
    # Weight of the mean squared norm of the code. reference: 0, commented out in the published code [28]. default: the
    # paper's.
    code_penalty: float = 1e-5
    # Labels whose ball is a distractor at random places, which nothing must be predicted of. Both: get up, run.
    distractor_labels: tuple[int, ...] = (0, 10)
    # Half the side of the cube of these places, m. Both: 5.
    distractor_range: float = 5.0
    # The ball in the history of these labels: the "clip"'s, which never moves, though the simulated ball will be
    # elsewhere (both), or "drawn", one place for each window. Drawn ones did not teach the encoder to ignore it
    # (docs/history_encoder.md).
    distractor_history: Literal["clip", "drawn"] = "clip"
    # What stands for missing frames of a clip, as in `motion.derive`. reference: "published", frames of zeros. default:
    # "bridged".
    missing: Missing = "bridged"
    # Part at the end of each clip that is not learned from, to see whether the encoder generalises. Both: none.
    held_out: float = 0.0
    # Both: widths of the predictor's hidden layers, numbers of the code, frames of a window.
    hidden: tuple[int, ...] = (512, 256)
    code_size: int = CODE_SIZE
    length: int = WINDOW

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "epochs", "batch_size", "learning_rate", "patience", "distractor_range", "code_size")
        check_positive(self, "length")
        if not 0.0 <= self.held_out < 1.0:
            raise ValueError(f"PretrainOptions.held_out: expected a part from 0 to below 1, got {self.held_out!r}")
        if self.code_penalty < 0.0:
            raise ValueError(f"PretrainOptions.code_penalty: expected 0 or more, got {self.code_penalty!r}")

    @classmethod
    def reference(cls) -> PretrainOptions:
        return cls(schedule="plateau", code_penalty=0.0, missing="published")

    @classmethod
    def default(cls) -> PretrainOptions:
        return cls()
