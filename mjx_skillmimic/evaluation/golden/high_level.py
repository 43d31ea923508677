"""Checks of the published high-level tasks: observation, reward, what is reached, resets (skillmimic.md §10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.high_level.circling import Circling, CirclingOptions
from mjx_skillmimic.envs.high_level.heading import Heading, HeadingOptions
from mjx_skillmimic.envs.high_level.options import EpisodeOptions
from mjx_skillmimic.envs.high_level.scoring import Scoring, ScoringOptions, landing
from mjx_skillmimic.envs.high_level.task import Goal
from mjx_skillmimic.envs.high_level.throwing import Throwing, ThrowingOptions
from mjx_skillmimic.evaluation.golden.imitation import OBSERVATION, REWARD, Arrays, body_state, object_fields
from mjx_skillmimic.evaluation.golden.registry import Quantity, covers
from mjx_skillmimic.imitation import termination
from mjx_skillmimic.physics.base import BodyState


@covers("v1_hrl_heading_easy")
def check_heading(arrays: Arrays) -> Iterator[Quantity]:
    """Dribbling to a place."""
    yield from _check(Heading(HeadingOptions.reference()), arrays)


@covers("v1_hrl_circling")
def check_circling(arrays: Arrays) -> Iterator[Quantity]:
    """Dribbling along a circle."""
    yield from _check(Circling(CirclingOptions.reference()), arrays)


@covers("v1_hrl_throwing")
def check_throwing(arrays: Arrays) -> Iterator[Quantity]:
    """Throwing up and catching."""
    yield from _check(Throwing(ThrowingOptions.reference()), arrays)


@covers("v1_hrl_scoring_layup")
def check_scoring(arrays: Arrays) -> Iterator[Quantity]:
    """The lay-up at a point in the air, and where the published formula has the ball land."""
    options = ScoringOptions.reference()
    ball = arrays["ball_state"]
    place = landing(ball[:, :3], ball[:, 7:10], options.ring, options.landing)
    yield Quantity("landing_xy", place, arrays["out_landing_xy"], **OBSERVATION)
    yield from _check(Scoring(options), arrays)


def _check(task: Any, arrays: Arrays) -> Iterator[Quantity]:
    """The observation before the step's outcome, the outcome, and how episodes end."""
    size = len(arrays["root_state"])
    goal = Goal(
        arrays.get("goal_position", np.zeros((size, 2), np.float32)),
        arrays.get("goal_radius", np.zeros((size, 1), np.float32))[:, 0],
        arrays["reached_target_in"],
    )
    body = _body(arrays)
    if task.parts:
        seen = np.asarray(jax.jit(task.observe)(body, goal))
        yield Quantity("task_obs", seen, arrays["out_task_obs"], **OBSERVATION)
    result = jax.jit(task.outcome)(body, goal)
    yield Quantity("reward", np.asarray(result.reward), arrays["out_reward"], **REWARD)
    yield Quantity("reached_target", np.asarray(result.goal.reached), arrays["out_reached_target"])
    options = EpisodeOptions.reference()
    yield Quantity("termination_height", np.array(options.fall_height), arrays["termination_height"])
    yield Quantity("max_episode_length", np.array(options.length), arrays["max_episode_length"])
    ending, progress = options.ending(), arrays["progress_buf"]
    fell = termination.fallen(body.root_pos[:, 2], progress, ending)
    late = termination.timed_out(progress, progress, ending)
    yield Quantity("terminate", fell.astype(int), arrays["out_terminate"])
    yield Quantity("reset", (fell | late).astype(int), arrays["out_reset"])


def _body(arrays: Arrays) -> BodyState:
    """The root's and the ball's states and the force on the ball; zeros elsewhere."""
    root = arrays["root_state"]
    body = body_state(len(root), object_force=arrays["obj_contact_force"], **object_fields(arrays["ball_state"]))
    body.body_pos[:, 0], body.body_quat[:, 0] = root[:, :3], rotations.wxyz_from_xyzw(root[:, 3:7])
    body.body_lin_vel[:, 0], body.body_ang_vel[:, 0] = root[:, 7:10], root[:, 10:13]
    return body
