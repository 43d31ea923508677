"""SkillMimicV2: BallPlay with starts from anywhere near the clips, and a policy that knows the last second (§1–§4).

Everything that it adds is off by default: then it is BallPlay with rewards and endings that look at the label. The
options are the sections of `envs.v2.options` beside those of BallPlay; `configs/skillmimic_v2.py` puts them together.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import ml_collections
import numpy as np

from mjx_skillmimic.envs import options as base_options
from mjx_skillmimic.envs.ball_play import BallPlay
from mjx_skillmimic.envs.episodes import Start
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.envs.tables import Tables
from mjx_skillmimic.envs.v2 import buffering, history, options
from mjx_skillmimic.envs.v2.law import V2EpisodeLaw
from mjx_skillmimic.history.encoder import encode_projected
from mjx_skillmimic.history.encoder_file import TRAVELLING, Encoder, load_encoder, to_arrays
from mjx_skillmimic.imitation import termination
from mjx_skillmimic.imitation.observation import Layout
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.skill_names import WITHOUT_OBJECT
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.rotations import Array

HISTORY = "history"  # the last columns of the observation
_KEY_BODIES = humanoid.indices(humanoid.KEY_BODIES)


class SkillMimicV2(BallPlay):
    """Imitation from disturbed and foreign starts; used as `BallPlay`.

    `info` has in addition what `V2EpisodeLaw` keeps; with a history `history` (N, 60, P), the window, and `code`
    (N, 3), the columns of the present observation; with `buffer.reward` "exclude" `weight` (N,), 0 in steps that PPO
    leaves out.
    """

    episodes: V2EpisodeLaw

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        clips: Sequence[MotionClip] | None = None,
        tables: Tables | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        """As `BallPlay`; encoder: used instead of the file `config.history.encoder`, if that names one.

        Raises:
            FileNotFoundError, EncoderFormatError, GraphError: an encoder or graph that is not there, or no such file.
            ValueError, MotionFormatError: as `BallPlay`.
        """
        self.own = options.from_config(config)
        named = self.own.history.encoder
        self.encoder = (encoder or _load_encoder(named)) if named else None
        super().__init__(config, clips, tables)
        if self.encoder is not None:
            code = self.encoder.params.code_size
            self.layout = Layout((*self.layout.parts, (HISTORY, code)))
        self.pools_rewards = self.own.buffer.reward != "off"
        self.weighs_steps = self.own.buffer.reward == "exclude"

    @property
    def policy_metadata(self) -> dict[str, Any]:
        """What a policy file says about the encoder that it was trained with; nothing without one."""
        return {} if self.encoder is None else {"history_encoder": encoder_sha256(self.encoder)}

    @property
    def policy_extras(self) -> dict[str, np.ndarray]:
        """What travels with a policy: the arrays of its encoder."""
        return {} if self.encoder is None else to_arrays(self.encoder, TRAVELLING)

    def _episode_law(self) -> V2EpisodeLaw:
        return V2EpisodeLaw(self.options, self.own, self.scene, self.clips, self.encoder)

    def _begin(self, tables: Tables, curriculum: Any, rng: Array, info: dict[str, Any], start: Start) -> State:
        count = info["clip"].shape[0]
        if self.encoder is not None:
            known = tables.own.history
            windows = jnp.zeros((count, known.params.length, known.projected.shape[-1]), jnp.float32)
            info[HISTORY] = self._remembered(tables, windows, jnp.ones(count, bool), info, start[2])
        state = super()._begin(tables, curriculum, rng, info, start)
        if not self.weighs_steps:
            return state
        return dataclasses.replace(state, info=state.info | {"weight": jnp.ones(count, jnp.float32)})

    def _renewed(self, tables: Tables, info: dict[str, Any], done: Array, start: BodyState) -> dict[str, Any]:
        if self.encoder is None:
            return {}
        return {HISTORY: self._remembered(tables, info[HISTORY], done, info, start)}

    def _remembered(
        self, tables: Tables, windows: Array, begins: Array, info: dict[str, Any], body: BodyState
    ) -> Array:
        known = tables.own.history
        return history.begin(known, tables.motions, windows, begins, info["clip"], info["frame"], body)

    def _memory(self, tables: Tables, start: BodyState, info: dict[str, Any]) -> dict[str, Any]:
        memory = super()._memory(tables, start, info) | self._stale(start)
        if self.encoder is not None:
            memory["code"] = history.code_at(tables.own.history, tables.motions, info["clip"], info["frame"])
        return memory

    def _recall(self, tables: Tables, body: BodyState, info: dict[str, Any]) -> dict[str, Any]:
        recalled = self._stale(body)
        if self.encoder is not None:
            known = tables.own.history
            # The observation sees the frames before its own.
            code = encode_projected(known.params, info[HISTORY])
            recalled |= {"code": code, HISTORY: history.push(known, info[HISTORY], body)}
        return recalled

    def _stale(self, body: BodyState) -> dict[str, Any]:
        """What the released re-timing takes from the episode before."""
        if self.own.retime.search != "released":
            return {}
        return {"key_body_vel": body.body_lin_vel[:, _KEY_BODIES]}

    def _observe(self, body: BodyState, info: dict[str, Any]) -> Array:
        observed = super()._observe(body, info)
        return observed if self.encoder is None else jnp.concatenate([observed, info["code"]], axis=-1)

    def _clock(self, info: dict[str, Any]) -> dict[str, Any]:
        """The episodes with the progress that rewards and endings go by."""
        behind = self.own.timing.clock == "published"
        return info | {"progress": info["progress"] - 1} if behind else info

    def _evaluate(self, tables: Tables, body: BodyState, info: dict[str, Any]) -> tuple[Array, dict[str, Array]]:
        reward, metrics = super()._evaluate(tables, body, self._clock(info))
        if self.episodes.buffers:
            metrics["start/buffer_steps"] = info["buffer"].astype(jnp.float32)
        if self.episodes.disturbs or self.episodes.switches:
            metrics["start/similarity"] = info["similarity"]
        return reward, metrics

    def _ending(self, tables: Tables, body: BodyState, info: dict[str, Any]) -> termination.Ending:
        return super()._ending(tables, body, self._clock(info))

    def _judged(
        self, tables: Tables, info: dict[str, Any], reward: Array, finite: Array, axis_name: str | None
    ) -> tuple[Array, dict[str, Any]]:
        if not self.pools_rewards:
            return reward, {}
        own = self.episodes.own_reward(tables, info, self._clock(info)["progress"])
        given = buffering.substitute(reward, info["clip"], own & finite, tables.motions.num_clips, axis_name)
        return given, {"weight": own.astype(jnp.float32)} if self.weighs_steps else {}


def default_config(preset: str = "default") -> ml_collections.ConfigDict:
    """BallPlay's configuration for a preset of `envs.options.PRESETS`, rewards and endings by label, and the sections
    of `envs.v2.options`, all off. Raises KeyError for another preset."""
    config = base_options.to_config(preset)
    base = base_options.BASES[preset]
    config.env = "SkillMimicV2"
    for name, kind in options.SECTIONS.items():
        config[name] = base_options.section_of(getattr(kind, base)())
    # Getting up and running show no ball.
    config.reward.without_object = WITHOUT_OBJECT
    config.termination.without_object = WITHOUT_OBJECT
    config.termination.never_fall = (0,)
    # Nothing ends because it is far from the reference: starts are [18].
    config.termination.object_distance = None
    config.termination.body_distance = None
    config.motion.order = "number"
    return config


def encoder_sha256(encoder: Encoder) -> str:
    """SHA-256 (hex) of an encoder's weights and of the way its frames are made."""
    params = encoder.params
    digest = hashlib.sha256(repr(encoder.frames).encode())
    for array in (*params.kernels, *params.biases, params.code_kernel, params.code_bias):
        digest.update(np.ascontiguousarray(np.asarray(array), "<f4").tobytes())
    return digest.hexdigest()


def _load_encoder(path: str) -> Encoder:
    try:
        return load_encoder(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"history.encoder = {path!r}: there is no such file; scripts/pretrain_history.py makes one, and without a "
            "history it is empty"
        ) from error
