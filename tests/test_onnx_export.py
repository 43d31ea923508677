"""The ONNX model of a policy is that policy, run by onnxruntime."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from scripts_of import script

from mjx_skillmimic import pretrained
from mjx_skillmimic.evaluation.golden.imitation import body_state
from mjx_skillmimic.imitation.observation import observe, skill_one_hot
from mjx_skillmimic.imitation.options import ObservationOptions
from mjx_skillmimic.interop.onnx_export import OnnxError, export_onnx
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.learning.policy import save_policy
from mjx_skillmimic.model.assets import humanoid_skeleton
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.rotations import exp

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def run(path, obs):
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["action"], {"obs": np.asarray(obs, np.float32)})[0]


@pytest.fixture(name="six", scope="module")
def fixture_six(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "deep" / "six.onnx"
    assert script("export_onnx").main(["--policy", "shipped-six", "--out", str(path)]) == 0
    return path


def spread(policy, scale, count=32):
    """Observations as the policy's statistics say, `scale` standard deviations wide."""
    mean, var = np.asarray(policy.moments.mean), np.asarray(policy.moments.var)
    noise = np.random.default_rng(0).normal(size=(count, policy.obs_size))
    return (mean + scale * np.sqrt(var) * noise).astype(np.float32)


@pytest.mark.parametrize("name", pretrained.names())
def test_every_shipped_policy_acts_the_same(name, tmp_path):
    policy = pretrained.load(name)
    if policy.head != "gaussian":
        with pytest.raises(ValueError, match="choices are not exported"):
            export_onnx(tmp_path / "policy.onnx", policy, name)
        return
    path = export_onnx(tmp_path / "policy.onnx", policy, name)
    onnx.checker.check_model(str(path), full_check=True)
    for scale in (0.0, 1.0, 10.0, 1e6):
        obs = spread(policy, scale)
        np.testing.assert_allclose(run(path, obs), policy(jnp.asarray(obs)), rtol=0, atol=1e-5, err_msg=f"{scale}")


def test_frames_of_a_clip_as_the_environment_shows_them(six):
    (clip,) = load_clips("throw_catch")
    joints = exp(clip.dof_pos.reshape(-1, 52, 3))
    bodies = forward_kinematics(humanoid_skeleton(), clip.root_pos, exp(clip.root_rotvec), joints)
    velocity = lambda x: np.gradient(x, 1 / clip.fps, axis=0)  # noqa: E731
    state = body_state(
        clip.num_frames,
        body_pos=bodies.pos,
        body_quat=bodies.quat,
        body_lin_vel=velocity(bodies.pos),
        body_force=np.random.default_rng(0).normal(0, 30, bodies.pos.shape),
        object_pos=clip.object_pos,
        object_lin_vel=velocity(clip.object_pos),
    )
    one_hot = skill_one_hot(np.full(clip.num_frames, clip.skill))
    obs = np.asarray(observe(state, one_hot, ObservationOptions.default()), np.float32)
    actions = run(six, obs)
    assert np.std(actions, axis=0).max() > 0.01
    np.testing.assert_allclose(actions, pretrained.load("shipped-six")(jnp.asarray(obs)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_any_number_of_rows(six, count):
    assert run(six, np.zeros((count, 902))).shape == (count, 156)


def test_actions_are_clamped(tmp_path):
    policy = pretrained.load("shipped-six")
    loud = {
        "params": {
            **policy.actor["params"],
            "mean": {"kernel": jnp.zeros((512, 156)), "bias": jnp.linspace(-3, 3, 156)},
        }
    }
    path = export_onnx(tmp_path / "loud.onnx", dataclasses.replace(policy, actor=loud, action_limit=0.5), "loud")
    np.testing.assert_allclose(run(path, np.zeros((1, 902)))[0], np.linspace(-3, 3, 156).clip(-0.5, 0.5), atol=1e-6)


def test_nan_is_not_hidden_and_infinity_is_clamped(six):
    obs = spread(pretrained.load("shipped-six"), 1.0, 4)
    obs[1, 901], obs[2, 5], obs[3, 700] = np.nan, np.inf, -np.inf
    actions, ours = run(six, obs), np.asarray(pretrained.load("shipped-six")(jnp.asarray(obs)))
    assert np.isnan(actions).all(axis=1).tolist() == np.isnan(ours).all(axis=1).tolist() == [False, True, False, False]
    np.testing.assert_allclose(actions, ours, rtol=0, atol=1e-5)


def test_metadata_say_what_goes_in_and_comes_out(six):
    found = {x.key: x.value for x in onnx.load(str(six)).metadata_props}
    card = pretrained.card("shipped-six")
    assert json.loads(found["skills"]) == {str(skill["label"]): skill["name"] for skill in card["skills"]}
    columns = json.loads(found["observation_columns"])
    assert (columns["root_height"], columns["fingertip_force"], columns["skill"]) == ([0, 1], [793, 823], [838, 902])
    assert json.loads(found["observation_options"]) == card["config"]["observation"]
    components = json.loads(found["action_components"])
    assert (len(components), components[3:6]) == (156, ["L_Knee_x", "L_Knee_y", "L_Knee_z"])
    assert json.loads(found["action_options"])["scale"] == pytest.approx(np.pi)
    assert re.fullmatch("[0-9a-f]{64}", found["config_sha256"])


def test_what_is_not_known_is_left_out(tmp_path):
    bare = dataclasses.replace(pretrained.load("shipped-six"), metadata={})
    path = save_policy(tmp_path / "bare.npz", bare)
    assert script("export_onnx").main(["--policy", str(path), "--out", str(tmp_path / "bare.onnx")]) == 0
    keys = {x.key for x in onnx.load(str(tmp_path / "bare.onnx")).metadata_props}
    assert {"skills", "observation_options", "config_sha256"}.isdisjoint(keys)


def test_what_cannot_be_exported_is_refused(tmp_path, monkeypatch, capsys):
    export = script("export_onnx").main
    assert export(["--policy", "shiped-six", "--out", str(tmp_path / "x.onnx")]) == 2
    assert "the nearest is 'shipped-six'" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert export(["--policy", "shipped-six", "--out", str(tmp_path / "x.onnx")]) == 2
    assert "pip install 'mjx_skillmimic[onnx]'" in capsys.readouterr().err
    with pytest.raises(OnnxError):
        export_onnx(tmp_path / "x.onnx", pretrained.load("shipped-six"), "x")
    assert not list(tmp_path.iterdir())


def test_the_documented_example_runs(six, tmp_path, monkeypatch):
    """The Python block of docs/checkpoints.md, beside the file that its command writes."""
    text = (Path(__file__).resolve().parent.parent / "docs" / "checkpoints.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert "scripts/export_onnx.py --policy shipped-six --out shipped-six.onnx" in text
    (tmp_path / "shipped-six.onnx").write_bytes(six.read_bytes())
    monkeypatch.chdir(tmp_path)
    variables: dict = {}
    exec(compile(example, "docs/checkpoints.md", "exec"), variables)
    assert variables["target"].shape == (1, 52, 3)
    np.testing.assert_allclose(variables["action"], pretrained.load("shipped-six")(variables["obs"]), rtol=0, atol=1e-5)
