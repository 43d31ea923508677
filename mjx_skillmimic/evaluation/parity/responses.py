"""The summary measures that engineers ask for: step responses of the servos, heights of a bouncing ball."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mjx_skillmimic.interop.trace import Trace
from mjx_skillmimic.model.scene import Scene

_LAST = 10  # control steps that count as settled
_LOWEST = 0.03  # m; lower bounces are not counted
_FREE = 1e-6  # N


def step_response(base: Trace, other: Trace, row: int) -> dict[str, float]:
    """How far the stepped joints of one course are from the base's, in % of the step.

    Both begin at the same joint coordinates; a coordinate counts where its first target is away from them. "most": the
    greatest over joints and time, "settled": mean over the last 10 control steps, "reached": how much of the step the
    base [and the other] made by then, in %.
    """
    steps = int(base.lengths[row])
    start = np.asarray(base.dof_pos[row, 0], np.float64)
    step = np.asarray(base.target[row, 0], np.float64) - start
    moved = np.abs(step) > 1e-3
    courses = [np.asarray(t.dof_pos[row, 1 : steps + 1], np.float64)[:, moved] - start[moved] for t in (base, other)]
    response = [100.0 * course / step[moved] for course in courses]
    apart = np.abs(response[1] - response[0])
    return {
        "most": float(apart.max()),
        "settled": float(apart[-_LAST:].mean()),
        "reached": float(response[0][-_LAST:].mean()),
        "reached_other": float(response[1][-_LAST:].mean()),
    }


def response_curve(trace: Trace, row: int) -> np.ndarray:
    """(T + 1,) mean response of the stepped joints in % of the step, for pictures."""
    steps = int(trace.lengths[row])
    start = np.asarray(trace.dof_pos[row, 0], np.float64)
    step = np.asarray(trace.target[row, 0], np.float64) - start
    moved = np.abs(step) > 1e-3
    course = np.asarray(trace.dof_pos[row, : steps + 1], np.float64)[:, moved] - start[moved]
    return 100.0 * (course / step[moved]).mean(axis=-1)


def bounce_heights(scene: Scene, trace: Trace, row: int) -> list[float]:
    """Heights in m under the ball's lowest point: of the drop, then of each bounce down to 3 cm whose top was seen.

    A flight is a row of control steps without force on the ball; its height is z − r + v_z² / 2 g where v_z is
    smallest, which does not depend on when within a step the top was reached.
    """
    steps, gravity = int(trace.lengths[row]), -float(scene.model.opt.gravity[2])
    low = np.asarray(trace.object_pos[row, : steps + 1, 2], np.float64) - scene.object_radius
    up = np.asarray(trace.object_lin_vel[row, : steps + 1, 2], np.float64)
    height = low + up**2 / (2.0 * gravity)
    free = np.concatenate([[True], np.linalg.norm(trace.object_force[row, :steps], axis=-1) < _FREE])
    found, begin = [], 0
    for end in [*(np.flatnonzero(np.diff(free.astype(int))) + 1), steps + 1]:
        if free[begin] and up[begin] >= 0.0 >= up[end - 1]:
            found.append(float(height[begin + np.abs(up[begin:end]).argmin()]))
        begin = end
    return [h for h in found if h > _LOWEST]


def bounces(scene: Scene, base: Trace, other: Trace, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Bounce by bounce: "height": [base, other] mean over drops of height ÷ that of the drop, "difference": mean of the
    other's height less the base's in % of the base's, "scatter": standard deviation of it over the drops, "drops".

    Only drops that make this bounce in both engines count. Heights of one engine scatter because a drop may find the
    contact anywhere within a physics step; the mean is what is compared.
    """
    pairs = [(bounce_heights(scene, base, row), bounce_heights(scene, other, row)) for row in rows]
    table = []
    for number in range(1, 1 + max((min(map(len, pair)) - 1 for pair in pairs), default=0)):
        both = [(a[0], a[number], b[number]) for a, b in pairs if min(len(a), len(b)) > number]
        drop, one, two = np.array(both).T
        apart = 100.0 * (two - one) / one
        table.append(
            {
                "bounce": number,
                "drops": len(both),
                "height": [float((one / drop).mean()), float((two / drop).mean())],
                "difference": float(apart.mean()),
                "scatter": float(apart.std()),
            }
        )
    return table
