"""Samples, loss, one epoch and whole pre-trainings, small ones."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.history import dataset, frames, pretrain, run
from mjx_skillmimic.history.encoder_file import load_encoder
from mjx_skillmimic.history.options import PretrainOptions
from mjx_skillmimic.learning.logging import read_json_lines
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.library import load_clips, motion_hash
from mjx_skillmimic.motion.table import MotionTable, build_table

SMALL = PretrainOptions(epochs=4, batch_size=64, hidden=(16,), length=6)
STORED = frames.FrameOptions(bodies="stored")  # spares the kinematics, which other tests check

epoch_of = jax.jit(pretrain.run_epoch, static_argnums=3)
errors_of = jax.jit(pretrain.evaluate, static_argnums=3)


@pytest.fixture(scope="module")
def clips() -> list[MotionClip]:
    """Forty frames of a throw, and thirty as if they were a run without the ball."""
    (clip,) = load_clips("throw_catch")
    part = lambda first, last: {name: x[first:last] for name, x in clip.arrays().items()}  # noqa: E731
    runner = dataclasses.replace(clip, name="runner", skill=10, **part(40, 70))
    return [dataclasses.replace(clip, name="thrower", **part(0, 40)), runner]


@pytest.fixture(scope="module")
def table(clips) -> MotionTable:
    return build_table(clips)


@pytest.fixture(scope="module")
def rows(table) -> jax.Array:
    return frames.reference_frames(table, STORED)


def test_there_is_a_sample_for_each_frame_but_the_last_of_a_clip(table, rows):
    learned, held = dataset.make_samples(table, rows, SMALL)
    expected = [(0, i, int(table.skills[0])) for i in range(39)] + [(40, i, 10) for i in range(29)]
    assert np.stack([learned.first, learned.frame, learned.label], axis=-1).tolist() == [list(x) for x in expected]
    assert held.count == 0
    learned, held = dataset.make_samples(table, rows, dataclasses.replace(SMALL, held_out=0.25))
    assert learned.frame.tolist() == [*range(29), *range(22)]
    assert held.frame.tolist() == [*range(29, 39), *range(22, 29)]


@pytest.mark.parametrize("history", ["clip", "drawn"])
def test_only_a_distractor_is_drawn(table, rows, history):
    options = dataclasses.replace(SMALL, distractor_history=history)
    learned, _ = dataset.make_samples(table, rows, options)
    index = jnp.array([0, 3, 20, 39, 42, 60])  # three throws, three of the runner
    batch = dataset.gather(learned, index, jax.random.key(0), options)
    other = dataset.gather(learned, index, jax.random.key(1), options)
    place = np.array([0, 3, 20, 40, 43, 61])
    plain = np.stack([rows[place], rows[place + 1]])
    made, again = np.stack([batch.current, batch.target]), np.stack([other.current, other.target])
    np.testing.assert_array_equal(batch.distractor, [False] * 3 + [True] * 3)
    np.testing.assert_array_equal(made[:, :3], plain[:, :3])
    np.testing.assert_array_equal(made[..., : frames.OBJECT.start], plain[..., : frames.OBJECT.start])
    balls = made[:, 3:, frames.OBJECT]
    assert (np.abs(balls) <= 5.0).all()
    assert len(np.unique(np.concatenate([balls, again[:, 3:, frames.OBJECT]]))) == 36
    past = np.asarray(batch.window)
    drawn = past[3:, :, frames.OBJECT]
    there = past.any(axis=-1)
    np.testing.assert_array_equal(there.sum(axis=-1), [0, 3, 6, 0, 3, 6])
    np.testing.assert_array_equal(drawn[~there[3:]], 0.0)
    np.testing.assert_array_equal(past[2], rows[14:20])
    if history == "clip":
        np.testing.assert_array_equal(past[5], rows[55:61])
    else:
        np.testing.assert_array_equal(drawn[2], np.broadcast_to(drawn[2][0], (6, 3)))
        assert np.abs(drawn[2][0] - rows[55, frames.OBJECT]).min() > 1e-3


def test_the_loss_is_the_published_sum_without_distractors():
    rng = np.random.default_rng(0)
    predicted, target = rng.normal(size=(2, 5, 316))
    distractor = np.array([False, True, False, True, False])
    batch = dataset.Batch(None, None, target, None, distractor)
    found = pretrain.errors(jnp.asarray(predicted), batch, jnp.array([1.0, 1, 1, 1, 0]))
    squared = (predicted - target)[:4] ** 2
    body, ball = squared[:, :313].mean(), squared[[0, 2], 313:].mean()
    np.testing.assert_allclose([found["body"], found["object"], found["loss"]], [body, ball, body + ball], rtol=1e-5)


def test_an_epoch_takes_every_sample_once_though_the_last_batch_is_smaller(table, rows):
    # 68 samples of which the runner's 29 are not distractors here, so that nothing is drawn.
    options = dataclasses.replace(SMALL, learning_rate=1e-12, distractor_labels=(), schedule="plateau")
    learned, _ = dataset.make_samples(table, rows, options)
    state = pretrain.init_state(jax.random.key(0), learned, options)
    after, means = epoch_of(state, learned, jax.random.key(1), options)
    everything = errors_of(state.weights, learned, jax.random.key(2), options)
    for name in ("loss", "body", "object"):
        np.testing.assert_allclose(means[name], everything[name], rtol=1e-4)
    assert int(after.epoch) == 1
    # The two yardsticks, by hand.
    still = np.asarray(rows)[learned.first + learned.frame] - np.asarray(rows)[learned.first + learned.frame + 1]
    by_hand = (still[:, :313] ** 2).mean() + (still[:, 313:] ** 2).mean()
    np.testing.assert_allclose(everything["still"], by_hand, rtol=1e-4)


def test_a_predictor_of_changes_adds_them_to_the_present(table, rows):
    learned, _ = dataset.make_samples(table, rows, SMALL)
    weights = pretrain.init_state(jax.random.key(0), learned, SMALL).weights
    batch = dataset.gather(learned, jnp.arange(5), jax.random.key(0), SMALL)
    code = jnp.ones((5, 3))
    plain, added = (
        pretrain.predict(weights, batch, code, dataclasses.replace(SMALL, predicts=what))
        for what in ("frame", "change")
    )
    np.testing.assert_allclose(added, plain + batch.current, atol=1e-6)


def test_the_share_of_the_distractor_is_all_of_a_code_that_sees_nothing_else(table, rows):
    options = dataclasses.replace(SMALL, length=2)
    learned, _ = dataset.make_samples(table, rows, options)
    state = pretrain.init_state(jax.random.key(0), learned, options)
    kernel = state.weights.encoder.kernels[0]
    shares = []
    for blind in (slice(0, frames.OBJECT.start), frames.OBJECT):
        changed = state.weights.encoder.replace(
            kernels=(kernel.at[:, blind].set(0.0), *state.weights.encoder.kernels[1:])
        )
        weights = state.weights.replace(encoder=changed)
        shares.append(float(errors_of(weights, learned, jax.random.key(4), options)["distractor_share"]))
    assert 0.7 < shares[0] < 1.3  # estimated from 29 samples
    assert shares[1] == 0.0


def published_rates(losses: list[float], rate: float, patience: int) -> list[float]:
    """PyTorch's rule, from its documentation: the rates of the epochs after each loss."""
    best, bad, rates = np.inf, 0, []
    for loss in losses:
        if loss < best * (1 - 1e-4):
            best, bad = loss, 0
        else:
            bad += 1
        if bad > patience:
            rate, bad = 0.1 * rate, 0
        rates.append(rate)
    return rates


def test_the_plateau_rule_is_the_published_one():
    rng = np.random.default_rng(2)
    losses = np.concatenate([np.linspace(1, 0.5, 9), 0.5 + 0.01 * rng.random(17), [0.4], np.full(9, 0.4)])
    options = dataclasses.replace(SMALL, schedule="plateau", batch_size=8)
    optimiser = pretrain.make_optimiser(16, options)  # two batches an epoch
    weights = jnp.zeros(1)
    state, rates = optimiser.init(weights), []
    update = jax.jit(lambda state, value: optimiser.update(jnp.ones(1), state, weights, value=value)[1])
    for loss in losses:
        for part in (0.9 * loss, 1.1 * loss):
            state = update(state, jnp.float32(part))
        rates.append(options.learning_rate * float(state[1].scale))
    expected = published_rates(losses.tolist(), options.learning_rate, options.patience)
    assert len(set(expected)) == 4
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


def test_an_interrupted_pretraining_goes_on_as_if_nothing_had_happened(clips, tmp_path):
    options = dataclasses.replace(SMALL, epochs=6, held_out=0.2)
    keep = {"save_every": 2, "evaluate_every": 3, "seed": 5}
    whole = run.pretrain_encoder(clips, tmp_path / "whole", options, STORED, **keep)

    class Interrupted(Exception):
        pass

    def interrupt(line: str) -> None:
        if line.startswith("epoch 2/"):
            raise Interrupted

    with pytest.raises(Interrupted):
        run.pretrain_encoder(clips, tmp_path / "cut", options, STORED, **keep, say=interrupt)
    assert not (tmp_path / "cut" / run.ENCODER_FILE).exists()
    with pytest.raises(run.PretrainError, match="not empty"):
        run.pretrain_encoder(clips, tmp_path / "cut", options, STORED, **keep)
    changed = dataclasses.replace(options, length=7)
    with pytest.raises(run.PretrainError, match=r"seed: 5, now 6.*options.length: 6, now 7"):
        run.pretrain_encoder(clips, tmp_path / "cut", changed, STORED, **{**keep, "seed": 6}, resume=True)
    lines: list[str] = []
    cut = run.pretrain_encoder(clips, tmp_path / "cut", options, STORED, **keep, resume=True, say=lines.append)
    assert lines[0] == "resuming after epoch 2"
    jax.tree.map(np.testing.assert_array_equal, cut.params, whole.params)

    logged = list(read_json_lines(tmp_path / "cut" / run.METRICS_FILE))
    assert [line["iteration"] for line in logged] == [1, 2, 3, 4, 5, 6]
    assert logged[-1]["loss"] < 0.8 * logged[0]["loss"]
    assert ["held_out/loss" in line for line in logged] == [False, False, True, False, False, True]
    read = load_encoder(tmp_path / "cut" / run.ENCODER_FILE)
    assert read.frames == STORED
    assert read.metadata["motion_hash"] == motion_hash(clips)
    assert read.metadata["results"]["best_loss"] == pytest.approx(min(line["loss"] for line in logged), rel=0.01)
    assert set(read.metadata["results"]["held_out"]) == {
        *("loss", "body", "object", "still", "mean_code", "distractor_share")
    }
    assert (tmp_path / "cut" / run.CURVES_FILE).read_bytes().startswith(b"\x89PNG")


def script(*argv: str) -> int:
    path = Path(__file__).resolve().parents[1] / "scripts" / "pretrain_history.py"
    spec = importlib.util.spec_from_file_location("pretrain_history", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(list(argv))


def test_the_script_hands_its_options_on(monkeypatch, tmp_path, capsys):
    calls = []

    def stub(clips, out, options, frame_options, **others):
        calls.append((len(clips), options, frame_options, others["seed"], others["resume"]))
        raise run.PretrainError("enough")

    monkeypatch.setattr(run, "pretrain_encoder", stub)
    arguments = ("--preset", "reference", "--epochs", "7", "--held-out", "0.5", "--seed", "3", "--resume")
    assert script("throw_catch", str(tmp_path), *arguments) == 2
    expected = dataclasses.replace(PretrainOptions.reference(), epochs=7, held_out=0.5)
    assert calls == [(1, expected, frames.FrameOptions.reference(), 3, True)]
    assert capsys.readouterr().err == "enough\n"
    assert script("nothing_of_that_name", str(tmp_path)) == 2
    assert "throw_catch" in capsys.readouterr().err
    assert script("throw_catch", str(tmp_path), "--held-out", "1") == 2
    assert "held_out" in capsys.readouterr().err


def test_presets_are_json_and_differ_where_the_documents_say():
    default, reference = (
        json.loads(json.dumps(dataclasses.asdict(f()))) for f in (PretrainOptions, PretrainOptions.reference)
    )
    changed = {name for name in default if default[name] != reference[name]}
    assert changed == {"schedule", "code_penalty", "missing"}
    assert default["code_penalty"] == 1e-5
