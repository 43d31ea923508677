"""The weights of the similarity and what the search may use, as named options with two presets (v2 §2.2)."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

from mjx_skillmimic.imitation.options import check_choices


@dataclasses.dataclass(frozen=True)
class SimilarityWeights:
    """sim = exp(−Σ weight·error), each error a mean of squares, after the donor was turned and shifted to the root.

    key_pos: 17 key bodies, per m². key_vel: their velocities, per (m/s)². joint_rot: angles of the 52 joints, per rad².
    root_height: per m². ball_pos, ball_vel: per m², per (m/s)². ball_relative: vectors ball to key bodies, per m².
    """

    key_pos: float
    key_vel: float
    joint_rot: float
    root_height: float = 0.0
    ball_pos: float = 0.0
    ball_vel: float = 0.0
    ball_relative: float = 0.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"SimilarityWeights.{name}: expected a number ≥ 0, got {value!r}")


# For frames whose label has a ball. Published.
BALL_WEIGHTS = SimilarityWeights(20.0, 0.1, 20.0, ball_pos=1.0, ball_vel=0.1, ball_relative=20.0)
# For frames of the labels without one. "shipped": what the authors' locomotion graph was made with [11];
# "code": what the published code has today.
BODY_WEIGHTS = {
    "shipped": SimilarityWeights(15.0, 0.1, 15.0, root_height=30.0),
    "code": SimilarityWeights(10.0, 0.1, 10.0, root_height=5.0),
}


@dataclasses.dataclass(frozen=True)
class GraphOptions:
    """What `build_graph` searches with. Numbers in brackets: items of v2 §12."""

    # Weights by the label of the frame that is led to (not of the donor). Both: as published, for labels without a ball
    # those of the shipped graph, which the published policies were trained with [11].
    with_ball: SimilarityWeights = BALL_WEIGHTS
    without_ball: SimilarityWeights = BODY_WEIGHTS["shipped"]
    # Labels whose motion has no ball: get up and run. Both: 0 and 10.
    without_ball_labels: tuple[int, ...] = (0, 10)
    # Less similar frames are no partners. Both: 1e-10.
    least_similarity: float = 1e-10
    # Frames that are missing in a clip. reference: "kept", compared like any other, with zeros for a pose if the table
    # has these. default: "excluded": they lead nowhere, and nowhere leads to them.
    missing: Literal["excluded", "kept"] = "excluded"

    def __post_init__(self) -> None:
        check_choices(self)
        if not 0.0 < self.least_similarity < 1.0:
            found = repr(self.least_similarity)
            raise ValueError(f"GraphOptions.least_similarity: expected a number between 0 and 1, got {found}")

    def weights_of(self, label: int) -> SimilarityWeights:
        """The weights for frames of a label."""
        return self.without_ball if label in self.without_ball_labels else self.with_ball

    def as_json(self) -> dict[str, Any]:
        """Plain types."""
        return dataclasses.asdict(self) | {"without_ball_labels": list(self.without_ball_labels)}

    @classmethod
    def reference(cls) -> GraphOptions:
        return cls(missing="kept")

    @classmethod
    def default(cls) -> GraphOptions:
        return cls()
