"""Which episodes SkillMimicV2's worlds begin: drawn by reward, disturbed, in another skill's state, or with a ball
anywhere; and how long their reference waits."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from mjx_skillmimic.envs.episodes import EpisodeLaw, Start
from mjx_skillmimic.envs.options import EnvironmentOptions
from mjx_skillmimic.envs.tables import Tables
from mjx_skillmimic.envs.v2 import ats, buffering, compact, distractor, noise, retime, switch
from mjx_skillmimic.envs.v2.options import V2Options
from mjx_skillmimic.envs.v2.tables import build_own
from mjx_skillmimic.kinematics import Coordinates
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion import table
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.physics import batch
from mjx_skillmimic.physics.state import body_state
from mjx_skillmimic.rotations import Array
from mjx_skillmimic.stitching.buffers import Preset, buffer_steps

# Folds of a world's key; the parent's draws take others. A chosen episode keeps its key for the one after it.
_DRAWN, _CHOSEN = 5, 6
_KEY_BODIES = humanoid.indices(humanoid.KEY_BODIES)


@struct.dataclass
class _Started:
    """Of N worlds: coordinates, the frame that is imitated from, and how similar it is to the start."""

    start: Start
    frame: Array
    similarity: Array


class V2EpisodeLaw(EpisodeLaw):
    """`EpisodeLaw` with what SkillMimic-V2 adds; `info` has in addition `buffer` (N,) int32, the steps that the
    reference waits, and `similarity` (N,) of the start to the frame that is imitated first (1: it is that frame)."""

    def __init__(
        self, chosen: EnvironmentOptions, own: V2Options, scene: Scene, clips: list[MotionClip], encoder: Any = None
    ) -> None:
        super().__init__(chosen)
        self.own, self.scene, self.clips, self.encoder = own, scene, clips, encoder
        self.adapts = own.ats.alpha > 0.0
        self.disturbs, self.switches = own.noise.probability > 0.0, own.switch.probability > 0.0
        self.buffers = own.buffer.reward != "off"
        self.scatters = any(clip.skill in own.distractor.labels for clip in clips)

    def complete(self, tables: Tables) -> Tables:
        return dataclasses.replace(
            tables, own=build_own(tables.motions, self.clips, self.scene, self.own, self.encoder)
        )

    def new_curriculum(self, tables: Tables) -> ats.Law | None:
        return ats.new_law(tables.motions, tables.own.cells) if self.adapts else None

    def adapt(
        self, tables: Tables, curriculum: ats.Law, finished: ats.Seen, axis_name: str | None
    ) -> tuple[ats.Law, ats.Seen]:
        law = ats.adapt(tables.motions, tables.own.cells, curriculum, finished, self.own.ats, axis_name)
        return law, ats.nothing_seen(finished.cell.shape[0], finished.steps)

    def nothing_finished(self, count: int) -> dict[str, Any]:
        return {"finished": ats.nothing_seen(count)} if self.adapts else {}

    def record_step(self, info: dict[str, Any], reward: Array, done: Array) -> dict[str, Any]:
        if not self.adapts:
            return {}
        attempt, seen = ats.record_step(info["attempt"], info["finished"], info["clip"], reward, done, self.own.ats)
        return {"attempt": attempt, "finished": seen}

    def draw_frame(self, tables: Tables, curriculum: ats.Law | None, rng: Array) -> tuple[Array, Array]:
        if curriculum is not None:
            return ats.draw(curriculum, rng)
        return super().draw_frame(tables, None, rng)

    def new_episodes(
        self, tables: Tables, curriculum: Any, rng: Array, wanted: Array, before: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any], Start]:
        keys = _folded(rng, _DRAWN)
        rng, info, row = self.draw(tables, curriculum, rng)
        return rng, *self._begun(tables, keys, info, row, wanted, before)

    def chosen_episodes(self, tables: Tables, rng: Array, clip: Array, frame: Array) -> tuple[dict[str, Any], Start]:
        info, row = self.chosen(tables, clip, frame)
        return self._begun(tables, _folded(rng, _CHOSEN), info, row, jnp.ones(row.shape, bool), None)

    def own_reward(self, tables: Tables, info: dict[str, Any], progress: Array) -> Array:
        """(N,) bool: at a progress (N,) the world is past its buffer, and the row it is compared with exists."""
        present = table.present(tables.motions, info["clip"], info["frame"] + self._held(info, progress))
        return (progress >= info["buffer"]) & present

    def _begun(
        self,
        tables: Tables,
        keys: Array,
        info: dict[str, Any],
        row: Array,
        wanted: Array,
        before: dict[str, Any] | None,
    ) -> tuple[dict[str, Any], Start]:
        """Episodes `info` drawn on `row` (N,), and what they start from, once it is decided what that is."""
        start = self.start_state(tables, info, row)
        begun = _Started(start, info["frame"], jnp.ones(row.shape, jnp.float32))
        if self.disturbs or self.switches:
            begun = self._changed(tables, keys, info, row, wanted, before, begun)
        steps = jnp.zeros(row.shape, jnp.int32)
        if self.buffers and (before is not None or self.own.buffer.at_first):
            preset: Preset = "default" if self.own.buffer.underflow == "longest" else "reference"
            steps = buffer_steps(begun.similarity, preset)
        if self.adapts:
            # Where the drawn frame is no good to start on, it is judged by its neighbour's episodes: never judged, it
            # would be drawn ever more often. What is re-timed judges the frame that it found.
            moved = begun.frame != info["frame"]
            judged = self._attempt(tables, info["clip"], begun.frame)["attempt"]
            info["attempt"] = jax.tree.map(lambda new, old: jnp.where(moved, new, old), judged, info["attempt"])
        info |= {
            "frame": begun.frame,
            "episode_length": table.episode_length(
                tables.motions, info["clip"], begun.frame, self.termination.episode_length
            ),
            "similarity": begun.similarity,
            "buffer": steps,
        }
        return info, self._scattered(keys, info["skill"], begun.start)

    def _changed(
        self,
        tables: Tables,
        keys: Array,
        info: dict[str, Any],
        row: Array,
        wanted: Array,
        before: dict[str, Any] | None,
        begun: _Started,
    ) -> _Started:
        """Start states of the worlds `wanted` that are disturbed or come from another skill; others as they are."""
        own, motions = self.own, tables.motions
        u = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys)
        noisy, switched = u[:, 0] < own.noise.probability, u[:, 1] < own.switch.probability
        if not own.noise.also_switched:
            switched &= ~noisy
        donor_row, similarity = row, begun.similarity
        if self.switches:
            clip, frame, found = self._donors(tables, _folded(keys, 1), info, row)
            switched &= clip >= 0
            found_row = table.rows(motions, jnp.maximum(clip, 0), frame)
            # the nearest of the donor's frames that is good to start on, as for frames that are drawn
            found_row = table.rows(motions, jnp.maximum(clip, 0), tables.starts.frame[found_row])
            donor_row = jnp.where(switched, found_row, row)
            similarity = jnp.where(switched, found, 1.0)
        noise_keys = _folded(keys, 2)

        def work(worlds: Array) -> _Started:
            label, goes, shaken = info["skill"][worlds], switched[worlds], noisy[worlds]
            state = self._coordinates(tables, row[worlds])
            if self.switches:
                donor = self._coordinates(tables, donor_row[worlds])
                state = batch.select(goes, switch.placed(state, donor, own.switch), state)
            raw = state
            if self.disturbs:
                raw = batch.select(shaken, noise.disturbed(state, noise_keys[worlds], label, own.noise), state)
            state = noise.unit(raw)
            qpos, qvel = self.scene.pack(*state)
            body = body_state(self.scene, batch.new_state(qpos, qvel, engine=None))
            frame, similar = info["frame"][worlds], similarity[worlds]
            if own.retime.search != "off":
                keys_seen = body.body_pos[:, _KEY_BODIES], body.body_lin_vel[:, _KEY_BODIES]
                if own.retime.search == "released" and before is not None:
                    keys_seen = before["features"].key_body_pos[worlds], before["key_body_vel"][worlds]
                seen = retime.Seen(raw, *keys_seen)
                nearest, nearness = retime.search(motions, tables.own.frames, info["clip"][worlds], seen, own.retime)
                moves = shaken & ~goes
                frame, similar = jnp.where(moves, nearest, frame), jnp.where(moves, nearness, similar)
            return _Started((qpos, qvel, body), frame, similar)

        return compact.for_worlds(wanted & (noisy | switched), work, begun)

    def _donors(self, tables: Tables, keys: Array, info: dict[str, Any], row: Array) -> tuple[Array, Array, Array]:
        """Clip, frame and similarity (N,) of the states of another skill; clip −1 where there is none."""
        if self.own.switch.donor == "graph":
            return switch.draw(tables.own.graph, keys, row, info["skill"])
        return *switch.draw_any(tables.motions, keys, info["clip"]), jnp.ones(row.shape, jnp.float32)

    def _coordinates(self, tables: Tables, row: Array) -> Coordinates:
        return self.scene.unpack(tables.starts.qpos[row], tables.starts.qvel[row])

    def _scattered(self, keys: Array, label: Array, start: Start) -> Start:
        """The start with another ball where the label has none of its own."""
        options = self.own.distractor
        if not self.scatters:
            return start
        qpos, qvel, body = start
        moved = distractor.has_distractor(label, options)[:, None]
        ball = distractor.scattered(_folded(keys, 3), options, body.root_pos)
        ball = distractor.Ball(
            *(jnp.where(moved, new, old) for new, old in zip(ball, distractor.ball_of(body), strict=True))
        )
        return distractor.placed(ball, qpos, qvel, body)

    def _attempt(self, tables: Tables, clip: Array, frame: Array) -> dict[str, Any]:
        return {"attempt": ats.begin(tables.own.cells, clip, frame)} if self.adapts else {}

    def _held(self, info: dict[str, Any], progress: Array) -> Array:
        if not self.buffers:
            return progress
        buffer = info["buffer"]
        return buffering.held(progress, buffer.reshape(buffer.shape + (1,) * (progress.ndim - buffer.ndim)))


def _folded(keys: Array, number: int) -> Array:
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
