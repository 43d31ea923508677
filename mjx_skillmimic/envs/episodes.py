"""Which episodes the worlds begin, and what they imitate: the clip and frame drawn, the state that an episode starts
from, and the reference row of each of its steps.

Where options ask for it, start frames follow the policy's failures (`sampling`), episodes start in the state of another
skill (`transitions`), find the ball elsewhere than in the clip (`placement`), or go on behind the clip's end (`seams`);
what is off costs nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from mjx_skillmimic.envs import placement, sampling, seams, transitions
from mjx_skillmimic.envs.options import EnvironmentOptions
from mjx_skillmimic.envs.tables import Tables
from mjx_skillmimic.motion import table
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.motion.moved import no_move, then
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.rotations import Array

# Keys are folded with these; 0 and 1 would repeat the two that clip and frame are drawn with, for split(key)[i] is
# fold_in(key, i).
_PLACEMENT, _TRANSITION, _SEAM = 2, 3, 4

# Coordinates (N, nq), (N, nv) and body states that episodes start from.
Start = tuple[Array, Array, BodyState]


class EpisodeLaw:
    """How episodes are drawn and what they imitate under given options. All methods are pure; worlds are axis N.

    An episode is kept in a dict `info`: clip, frame (where in the clip it starts), progress (control steps since),
    episode_length (reference rows), skill, all (N,) int32; and of the features that are on `attempt`
    (`sampling.Attempt`), `move` (of the imitated clip, `moved.Move`), `placement` (`placement.Placement`) and `crosses`
    (N,) bool, which go over the seam of their clip.
    """

    def __init__(self, chosen: EnvironmentOptions) -> None:
        self.start, self.termination, self.pad = chosen.start, chosen.termination, chosen.motion.pad
        self.adapts = self.start.sampling == "failure"
        self.changes_skill = self.start.transition_probability > 0.0
        self.places_ball = self.start.placement_probability > 0.0
        self.goes_on = self.start.seam_probability > 0.0

    def complete(self, tables: Tables) -> Tables:
        """The tables with those that the options need. Raises ValueError where an option finds nothing to work on."""
        if self.adapts:
            tables = dataclasses.replace(tables, bins=sampling.build_bins(tables.motions))
        if self.changes_skill:
            pairs = transitions.build_pairs(tables.motions, self.start.transition_distance)
            tables = dataclasses.replace(tables, pairs=pairs)
        if self.places_ball:
            approach = placement.build_approach(tables.motions)
            tables = dataclasses.replace(tables, approach=approach)
        if self.goes_on:
            start = self.start
            joined = seams.build_seams(tables.motions, start.seam_distance, start.seam_steps, start.seam_skills)
            tables = dataclasses.replace(tables, seams=joined)
        return tables

    def new_curriculum(self, tables: Tables) -> Any:
        """The law of start frames before any episode; None for the uniform law, which never changes."""
        return sampling.new_curriculum(tables.motions, tables.bins, self.start) if self.adapts else None

    def adapt(self, tables: Tables, curriculum: Any, finished: Any, axis_name: str | None) -> tuple[Any, Any]:
        """The law after the episodes that finished, of all members of a mapped axis, and an empty record of these."""
        curriculum = sampling.adapt(tables.motions, tables.bins, curriculum, finished, self.start, axis_name)
        return curriculum, sampling.nothing_finished(finished.bin.shape[0])

    def nothing_finished(self, count: int) -> dict[str, Any]:
        """What `info` begins with beside the episodes of N worlds."""
        return {"finished": sampling.nothing_finished(count)} if self.adapts else {}

    def record_step(self, info: dict[str, Any], reward: Array, done: Array) -> dict[str, Any]:
        """What rewards (N,) and ends (N,) bool of a step change in `info`."""
        if not self.adapts:
            return {}
        attempt, finished = sampling.record_step(
            info["attempt"], info["finished"], reward, done, info["episode_length"]
        )
        return {"attempt": attempt, "finished": finished}

    def draw(self, tables: Tables, curriculum: Any, rng: Array) -> tuple[Array, dict[str, Any], Array]:
        """Next keys, new episodes of worlds with keys (N,), and the rows of their start states."""
        fixed = self.start.frame

        def one(key: Array) -> tuple[Array, Array, Array, Array]:
            following, now = jax.random.split(key)
            return following, now, *self.draw_frame(tables, curriculum, now)

        rng, now, clip, drawn = jax.vmap(one)(rng)
        frame = drawn if fixed is not None else tables.starts.frame[table.rows(tables.motions, clip, drawn)]
        row = table.rows(tables.motions, clip, frame)
        if not self.changes_skill:
            info = self._over_seam(tables, now, self._episode(tables, clip, frame, drawn))
            return rng, info | self._placed(tables, now, row, jnp.ones(row.shape, bool)), row
        other = jax.vmap(lambda key: jax.random.fold_in(key, _TRANSITION))(now)
        goes, to_clip, to_frame, move = transitions.draw(tables.motions, tables.pairs, self.start, other, row)
        clip, frame = jnp.where(goes, to_clip, clip), jnp.where(goes, to_frame, frame)
        info = self._episode(tables, clip, frame, jnp.where(goes, frame, drawn)) | {"move": move}
        if self.adapts:
            # How hard a clip's own starts are is not to be learned from those of another.
            attempt = info["attempt"]
            info["attempt"] = dataclasses.replace(attempt, bin=jnp.where(goes, -1, attempt.bin))
        info = self._over_seam(tables, now, info)
        return rng, info | self._placed(tables, now, row, ~goes), row

    def draw_frame(self, tables: Tables, curriculum: Any, rng: Array) -> tuple[Array, Array]:
        """int32 (clip, frame) () of one key; to be mapped over keys."""
        if curriculum is not None:
            return sampling.draw(tables.motions, tables.bins, curriculum, rng)
        return table.sample(tables.motions, rng, start=self.start.frame)

    def new_episodes(
        self, tables: Tables, curriculum: Any, rng: Array, wanted: Array, before: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any], Start]:
        """`draw`, and the states that the episodes start from.

        wanted: (N,) bool, the worlds whose new episodes will be used: for others there may be any. before: `info` of
        the worlds at the end of the episodes before, None where there were none.
        """
        rng, info, row = self.draw(tables, curriculum, rng)
        return rng, info, self.start_state(tables, info, row)

    def chosen_episodes(self, tables: Tables, rng: Array, clip: Array, frame: Array) -> tuple[dict[str, Any], Start]:
        """`chosen`, and the states that the episodes start from; rng: (N,) keys."""
        info, row = self.chosen(tables, clip, frame)
        return info, self.start_state(tables, info, row)

    def chosen(self, tables: Tables, clip: Array, frame: Array) -> tuple[dict[str, Any], Array]:
        """Episodes that imitate clips (N,) from frames (N,) on, with the clip's own start and ball, and their rows."""
        return self._episode(tables, clip, frame, frame), table.rows(tables.motions, clip, frame)

    def start_state(self, tables: Tables, info: dict[str, Any], row: Array) -> Start:
        """Coordinates and body states (N, …) that episodes start from in the states of `row` (N,)."""
        qpos, qvel, body = tables.starts.qpos[row], tables.starts.qvel[row], tables.starts.body_state(row)
        return placement.move_ball(info["placement"], qpos, qvel, body) if self.places_ball else (qpos, qvel, body)

    def reference(self, tables: Tables, info: dict[str, Any]) -> Features:
        """The reference rows (N,) that belong to the present `progress`."""
        return self._rows(tables, info, info["progress"], self.pad, info["frame"] + info["episode_length"])

    def following(self, tables: Tables, info: dict[str, Any]) -> Features:
        """The rows (N,) of the next step: past the episode's window those of the clip, past its end the last one."""
        return self._rows(tables, info, info["progress"] + 1, "hold")

    def contact_ahead(self, tables: Tables, info: dict[str, Any], ahead: Sequence[int]) -> Array:
        """Contact labels (N, K) of the steps that are K numbers ahead, held at the clip's end."""
        if self.goes_on:
            clip, frame, _ = seams.imitated(tables.seams, info, info["progress"][:, None] + jnp.asarray(ahead))
            return tables.motions.reference.contact[table.rows(tables.motions, clip, frame)]
        frame = info["frame"][:, None] + self._held(info, info["progress"][:, None] + jnp.asarray(ahead))
        return tables.motions.reference.contact[table.rows(tables.motions, info["clip"][:, None], frame)]

    def steps_left(self, info: dict[str, Any]) -> Array:
        """Control steps (N,) until the time-out."""
        clip = self.termination.time_out == "clip"
        length = info["episode_length"] if clip else self.termination.episode_length
        return length - 1 - info["progress"]

    def _rows(
        self, tables: Tables, info: dict[str, Any], progress: Array, pad: table.Pad, end: Array | None = None
    ) -> Features:
        """The reference rows (N,) of a step of the episodes, where these have it."""
        clip, frame, move = info["clip"], info["frame"] + self._held(info, progress), info.get("move")
        if self.goes_on:
            clip, frame, over = seams.imitated(tables.seams, info, progress)
            move = over if move is None else then(over, move)
            end = None if end is None else frame + info["episode_length"] - progress
        features = table.features(tables.motions, clip, frame, pad=pad, end=end, move=move)
        return (
            placement.placed(features, tables.approach, info["placement"], progress) if self.places_ball else features
        )

    def _episode(self, tables: Tables, clip: Array, frame: Array, drawn: Array) -> dict[str, Any]:
        """What `info` keeps of an episode that imitates a clip from a frame on; drawn: the frame before a start state
        was found near it, whose bin is judged (a bin without usable frames would else never be)."""
        info = {
            "clip": clip,
            "frame": frame,
            "progress": jnp.zeros(clip.shape, jnp.int32),
            "episode_length": table.episode_length(tables.motions, clip, frame, self.termination.episode_length),
            "skill": tables.motions.skills[clip],
        }
        info |= self._attempt(tables, clip, drawn)
        if self.changes_skill:
            info["move"] = no_move(clip.shape[0])
        if self.places_ball:
            info["placement"] = placement.nothing_placed(clip.shape[0])
        if self.goes_on:
            info["crosses"] = jnp.zeros(clip.shape, bool)
        return info

    def _attempt(self, tables: Tables, clip: Array, frame: Array) -> dict[str, Any]:
        """What the law that adapts keeps of episodes drawn on these frames (N,)."""
        return {"attempt": sampling.begin_attempt(tables.bins, clip, frame)} if self.adapts else {}

    def _held(self, info: dict[str, Any], progress: Array) -> Array:
        """Reference rows since the episode's start at a progress (N,) or (N, K)."""
        return progress

    def _over_seam(self, tables: Tables, rng: Array, info: dict[str, Any]) -> dict[str, Any]:
        """Episodes `info`, some of which go on behind the end of their clip; rng: (N,) keys."""
        if not self.goes_on:
            return info
        keys = jax.vmap(lambda key: jax.random.fold_in(key, _SEAM))(rng)
        crosses = seams.crosses(tables.seams, self.start.seam_probability, keys, info["clip"], info["frame"])
        longest = seams.rows_left(tables.seams, info["clip"], info["frame"])
        length = jnp.minimum(longest, self.start.seam_steps).astype(jnp.int32)
        return info | {"crosses": crosses, "episode_length": jnp.where(crosses, length, info["episode_length"])}

    def _placed(self, tables: Tables, rng: Array, row: Array, may: Array) -> dict[str, Any]:
        """Where the ball is put in episodes that start in the states of `row` (N,), of those that `may` (N,)."""
        if not self.places_ball:
            return {}
        keys = jax.vmap(lambda key: jax.random.fold_in(key, _PLACEMENT))(rng)
        return {"placement": placement.draw(tables.motions, tables.approach, self.start, keys, row, may)}
