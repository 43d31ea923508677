"""Start frames drawn by failure: the law against NumPy, its statistics; devices and a resume change nothing."""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from motion_files import make_clip

from mjx_skillmimic.config import ConfigError, load_config
from mjx_skillmimic.envs import sampling
from mjx_skillmimic.envs.ball_play import BallPlay
from mjx_skillmimic.envs.starts import StartOptions
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.evaluation import rollouts
from mjx_skillmimic.learning import compiling, parallel, ppo, runner, seeds
from mjx_skillmimic.learning.checkpoint import Checkpoints
from mjx_skillmimic.learning.options import from_mapping
from mjx_skillmimic.motion import library
from mjx_skillmimic.motion import table as tables
from tests import ballplay
from tests.toy import LENGTH, PointEnv, quiet, toy_config
from tests.trees import leaves

ROOT = Path(__file__).resolve().parent.parent
LENGTHS, SKILLS = (9, 5, 30, 12), (1, 1, 5, 7)
CLIPS = [make_clip(frames=n, seed=i, skill=s) for i, (n, s) in enumerate(zip(LENGTHS, SKILLS, strict=True))]
MOTIONS = tables.build_table(CLIPS, pick_weight=2.0)
BINS = sampling.build_bins(MOTIONS)
OPTIONS = StartOptions(sampling="failure", failure_power=1.5, uniform_share=0.2, score_rate=0.1)
BY_LABEL = dataclasses.replace(OPTIONS, prioritise_labels=True)
SCORE = np.random.default_rng(0).uniform(0.05, 1.0, BINS.sizes.shape)

WORKER = """
import sys
import numpy as np
from tests import test_envs_sampling as here
np.savez(sys.argv[1], **here.trained(int(sys.argv[2])))
"""


def slow_law(score: np.ndarray, options: StartOptions) -> dict[tuple[int, int], float]:
    """Probability of every clip and frame, by loops over labels, clips and frames."""
    mixed = lambda hard, base: (1 - options.uniform_share) * hard + options.uniform_share * base  # noqa: E731
    frames = [range(2, n - 1) for n in LENGTHS]
    of_frame = [[score[c, f // 8] for f in frames[c]] for c in range(len(LENGTHS))]
    of_clip = [float(np.mean(x)) for x in of_frame]
    labels = {skill: [c for c, s in enumerate(SKILLS) if s == skill] for skill in set(SKILLS)}
    base = {skill: sum(float(MOTIONS.probabilities[c]) for c in clips) for skill, clips in labels.items()}
    hard = {s: base[s] * np.mean([of_clip[c] for c in labels[s]]) ** options.failure_power for s in labels}
    law = {}
    for skill, clips in labels.items():
        label = base[skill]
        if options.prioritise_labels:
            label = mixed(hard[skill] / sum(hard.values()), base[skill])
        for c in clips:
            clip = label / len(clips)
            if options.prioritise_labels:
                total = sum(of_clip[other] ** options.failure_power for other in clips)
                clip = label * mixed(of_clip[c] ** options.failure_power / total, 1 / len(clips))
            weights = np.array(of_frame[c]) ** options.failure_power
            for f, weight in zip(frames[c], weights, strict=True):
                law[c, f] = clip * mixed(weight / weights.sum(), 1 / len(weights))
    return law


def law_of(score: np.ndarray, options: StartOptions) -> dict[tuple[int, int], float]:
    clip = np.asarray(sampling.clip_law(MOTIONS, BINS, jnp.asarray(score, jnp.float32), options))
    within = np.asarray(sampling.bin_law(BINS, jnp.asarray(score, jnp.float32), options))
    sizes = np.asarray(BINS.sizes)
    return {
        (c, f): clip[c] * within[c, f // 8] / sizes[c, f // 8] for c, n in enumerate(LENGTHS) for f in range(2, n - 1)
    }


def frequencies(curriculum: sampling.Curriculum, count: int) -> dict[tuple[int, int], int]:
    drawn = jax.vmap(functools.partial(sampling.draw, MOTIONS, BINS, curriculum))(
        jax.random.split(jax.random.key(3), count)
    )
    pairs, counts = np.unique(np.stack(drawn, axis=1), axis=0, return_counts=True)
    return {(int(c), int(f)): int(n) for (c, f), n in zip(pairs, counts, strict=True)}


@pytest.mark.parametrize("options", [OPTIONS, BY_LABEL], ids=["frames", "labels"])
def test_the_law_is_that_of_loops_over_frames(options: StartOptions):
    expected, found = slow_law(SCORE, options), law_of(SCORE, options)
    assert sum(expected.values()) == pytest.approx(1.0, abs=1e-6)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), rtol=2e-5)


@pytest.mark.parametrize("options", [OPTIONS, BY_LABEL], ids=["frames", "labels"])
def test_draws_follow_the_law(options: StartOptions):
    """χ² of 60 000 draws over all clips and frames."""
    found = frequencies(sampling._curriculum(MOTIONS, BINS, jnp.asarray(SCORE, jnp.float32), options), 60_000)
    law = slow_law(SCORE, options)
    assert found.keys() == law.keys()
    expected = {key: 60_000 * p for key, p in law.items()}
    assert sum((found[k] - e) ** 2 / e for k, e in expected.items()) < len(law) + 4 * np.sqrt(2 * len(law))


def test_without_knowledge_the_law_is_the_published_one():
    for options in (OPTIONS, BY_LABEL):
        curriculum = sampling.new_curriculum(MOTIONS, BINS, options)
        assert (np.asarray(curriculum.score) == 1.0).all()
        law = law_of(np.asarray(curriculum.score), options)
        for (clip, _), probability in law.items():
            # Pick twice as often (the table's weights), all frames of a clip alike.
            assert probability == pytest.approx(float(MOTIONS.probabilities[clip]) / (LENGTHS[clip] - 3), rel=1e-5)


def test_scores_are_exponential_averages_over_the_episodes_of_a_bin():
    """A loop over episodes; all of a bin at once count as their mean, whatever their order."""
    curriculum = sampling.new_curriculum(MOTIONS, BINS, OPTIONS)
    columns = BINS.sizes.shape[1]
    where = np.array([2 * columns + 1, 2 * columns + 1, -1, 3 * columns, 2 * columns + 1])
    scores = np.array([0.25, 0.5, 0.125, 0.75, 0.0])
    adapted = sampling.adapt(
        MOTIONS, BINS, curriculum, sampling.Finished(jnp.asarray(where), jnp.asarray(scores)), OPTIONS
    )
    expected = np.ones(BINS.sizes.shape)
    expected[2, 1] = 0.9**3 + (1 - 0.9**3) * 0.25
    expected[3, 0] = 0.9 + 0.1 * 0.75
    np.testing.assert_allclose(adapted.score, expected, rtol=1e-6)
    np.testing.assert_allclose(adapted.within[2, -1], 1.0, rtol=1e-6)


def test_parts_of_the_worlds_come_to_the_same_law_as_all_of_them():
    """To the bit, on every member of a mapped axis."""
    rng = np.random.default_rng(1)
    places = np.flatnonzero(np.asarray(BINS.sizes).ravel())
    curriculum = sampling.new_curriculum(MOTIONS, BINS, BY_LABEL)
    finished = sampling.Finished(jnp.asarray(rng.choice(places, 64)), jnp.asarray(rng.uniform(size=64), jnp.float32))
    whole = sampling.adapt(MOTIONS, BINS, curriculum, finished, BY_LABEL)
    blocks = jax.tree.map(lambda x: x.reshape(4, 16), finished)
    members = jax.vmap(
        lambda part: sampling.adapt(MOTIONS, BINS, curriculum, part, BY_LABEL, "parts").score, axis_name="parts"
    )
    np.testing.assert_array_equal(members(blocks), np.tile(whole.score, (4, 1, 1)))
    assert (np.asarray(whole.score) < 1.0).sum() > 5


def test_a_bin_that_always_fails_is_drawn_more_and_no_frame_less_than_its_floor():
    curriculum = sampling.new_curriculum(MOTIONS, BINS, OPTIONS)
    columns, every = BINS.sizes.shape[1], np.flatnonzero(np.asarray(BINS.sizes).ravel())
    failing = 2 * columns + 1
    record = sampling.Finished(jnp.asarray(every), jnp.where(every == failing, 1.0, 0.1))
    for _ in range(200):
        curriculum = sampling.adapt(MOTIONS, BINS, curriculum, record, OPTIONS)
    law = law_of(np.asarray(curriculum.score), OPTIONS)
    uniform = {(c, f): float(MOTIONS.probabilities[c]) / (LENGTHS[c] - 3) for c, f in law}
    assert law[2, 9] > 2.5 * uniform[2, 9]
    assert all(p >= OPTIONS.uniform_share * uniform[key] * (1 - 1e-5) for key, p in law.items())
    found = frequencies(curriculum, 20_000)
    assert sum(n for (c, f), n in found.items() if (c, f // 8) == (2, 1)) > 2 * sum(
        n for (c, f), n in found.items() if (c, f // 8) == (2, 2)
    )
    # Labels are drawn as before.
    clips = np.array([sum(n for (c, _), n in found.items() if c == clip) for clip in range(4)])
    np.testing.assert_allclose(clips / 20_000, MOTIONS.probabilities, atol=0.015)


def test_an_early_end_counts_as_zero_reward():
    attempt = sampling.begin_attempt(BINS, jnp.array([2, 2]), jnp.array([9, 9]))
    finished = sampling.nothing_finished(2)
    steps = 4
    for step in range(steps):
        done = jnp.array([step == 1, step == steps - 1])
        attempt, finished = sampling.record_step(attempt, finished, jnp.full(2, 0.8), done, jnp.full(2, steps + 1))
    np.testing.assert_array_equal(finished.bin, 2 * BINS.sizes.shape[1] + 1)
    np.testing.assert_allclose(finished.score, [1 - 2 * 0.8 / 4, 1 - 0.8], rtol=1e-6)


class BinnedEnv(PointEnv):
    """PointEnv whose episodes belong to drawn frames of the clips; how near its points stay makes their scores."""

    adapts = True

    def reset(self, rng: jax.Array) -> State:
        state, curriculum = super().reset(rng), sampling.new_curriculum(MOTIONS, BINS, OPTIONS)
        info = state.info | self._drawn(curriculum, rng) | {"finished": sampling.nothing_finished(len(rng))}
        return state.replace(info=info, curriculum=curriculum)

    def step(self, state: State, action: jax.Array) -> State:
        after, old = super().step(state, action), state.info
        done, length = after.done > 0, jnp.full(after.done.shape, LENGTH + 1)
        attempt, finished = sampling.record_step(old["attempt"], old["finished"], after.reward, done, length)
        drawn = self._drawn(state.curriculum, after.info["rng"])
        begun = {"attempt": attempt, "frame": old["frame"]}
        kept = jax.tree.map(lambda new, old: jnp.where(done, new, old), drawn, begun)
        return after.replace(info=after.info | kept | {"finished": finished}, curriculum=state.curriculum)

    def adapt(self, state: State, axis_name: str | None = None) -> State:
        finished = state.info["finished"]
        curriculum = sampling.adapt(MOTIONS, BINS, state.curriculum, finished, OPTIONS, axis_name)
        info = state.info | {"finished": sampling.nothing_finished(len(finished.bin))}
        return state.replace(info=info, curriculum=curriculum)

    @staticmethod
    def _drawn(curriculum: sampling.Curriculum, rng: jax.Array) -> dict[str, object]:
        draw = jax.vmap(lambda key: sampling.draw(MOTIONS, BINS, curriculum, jax.random.fold_in(key, 5)))
        clip, frame = draw(rng)
        return {"attempt": sampling.begin_attempt(BINS, clip, frame), "frame": frame}


def binned_config() -> ConfigDict:
    """Six iterations of 16 worlds, in each of which every episode ends once."""
    chosen = toy_config(6)
    with chosen.unlocked():
        chosen.ppo.update(num_envs=16, horizon=LENGTH, minibatch_size=80, num_epochs=1, shuffle_groups=2)
        chosen.run.update(total_env_steps=16 * LENGTH * 6, checkpoint_every=3)
    return chosen


def trained(devices: int) -> dict[str, np.ndarray]:
    """Leaves of the state after six iterations."""
    options = from_mapping(binned_config().ppo)
    program = parallel.assemble(ppo.make_train, BinnedEnv(), options, parallel.make_mesh(devices))
    state = compiling.compile_init(program.init)(program.keys(0))
    iterate = compiling.compile_iteration(program.train_iteration, state)
    for _ in range(6):
        state, _ = iterate(state)
    return law_and_worlds(state)


def law_and_worlds(state: ppo.TrainState) -> dict[str, np.ndarray]:
    """The law, and which episodes run."""
    info = {name: state.env_state.info[name] for name in ("attempt", "age", "frame")}
    return leaves((state.env_state.curriculum, info))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory):
    config, folder = binned_config(), tmp_path_factory.mktemp("runs") / "straight"
    return config, folder, runner.run(config, folder, env=BinnedEnv(), progress=quiet())


def test_training_learns_a_law_and_a_resume_goes_on_with_it(straight, tmp_path: Path):
    config, folder, result = straight
    shutil.copytree(folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "6")
    halfway = Checkpoints(tmp_path / "run" / "checkpoints").restore(3, result.state).env_state.curriculum
    resumed = runner.run(config, tmp_path / "run", True, env=BinnedEnv(), progress=quiet())
    one, other = leaves(result.state), leaves(resumed.state)
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)
    score = np.asarray(result.state.env_state.curriculum.score)
    for earlier in (np.ones_like(score), np.asarray(halfway.score)):
        assert ((score != earlier) & (np.asarray(BINS.sizes) > 0)).sum() >= 5
    # Bins that no clip has are never touched.
    assert (score[np.asarray(BINS.sizes) == 0] == 1.0).all()


def test_two_devices_come_to_the_law_of_one(straight, tmp_path: Path):
    flags = "--xla_force_host_platform_device_count=2"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, "-c", WORKER, str(tmp_path / "state.npz"), "2"]
    subprocess.run(command, env=environment, check=True, timeout=200)
    expected = law_and_worlds(straight[2].state)
    with np.load(tmp_path / "state.npz") as found:
        assert set(found.files) == expected.keys()
        for name, value in expected.items():
            # Gradients are the same sums in another order.
            np.testing.assert_allclose(found[name], value, atol=1e-3, err_msg=name)
    assert (expected["[0].score"] < 0.99).sum() >= 5


def test_the_start_of_a_chosen_frame_belongs_to_its_bin_and_evaluation_draws_uniformly():
    config = ballplay.config(start__sampling="failure", start__max_kick=None)
    env = BallPlay(config, library.load_clips("throw_catch"))
    state = jax.eval_shape(env.begin, env.tables, ballplay.keys(0, 3), jnp.arange(3), jnp.arange(3))
    assert state.info["attempt"].bin.shape == (3,)
    plain = BallPlay(rollouts.evaluation_config(config), env.clips, tables=env.tables)
    state = jax.eval_shape(plain.reset, ballplay.keys(0, 3))
    assert state.curriculum is None
    assert not {"attempt", "finished", "move"} & state.info.keys()


def test_what_cannot_work_is_refused():
    with pytest.raises(ValueError, match="frame fixes them at 2"):
        StartOptions(sampling="failure", frame=2)
    with pytest.raises(ValueError, match=r"uniform_share: expected a number in \(0, 1\], got 0"):
        StartOptions(uniform_share=0.0)
    overrides = {"start.sampling": "failure", "run.seeds": "2"}
    with pytest.raises(ConfigError, match=r"expected run\.seeds = 1, found 2"):
        load_config(ROOT / "configs" / "ballplay.py", overrides)

    class Adapting:
        adapts = True

    with pytest.raises(ValueError, match=r"run\.seeds = 1"):
        seeds.FoldedEnv(Adapting())
