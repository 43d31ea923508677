"""What the recorder beside Isaac Gym computes with NumPy: observation and policy, against the same in JAX."""

import dataclasses
import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.imitation.actions import pd_targets
from mjx_skillmimic.imitation.observation import observation_layout, observe, skill_one_hot
from mjx_skillmimic.imitation.options import ActionOptions, ObservationOptions
from mjx_skillmimic.interop.isaacgym.adapter import BodyState
from mjx_skillmimic.interop.isaacgym.policy import NumPyPolicy, ObservationSettings, PolicyFileError, read_settings
from mjx_skillmimic.interop.isaacgym.starts import export_policy
from mjx_skillmimic.learning import networks, normalizer
from mjx_skillmimic.learning.options import PPOOptions
from mjx_skillmimic.learning.policy import bundle, save_policy
from mjx_skillmimic.physics import base

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(os.environ.get("MJX_SKILLMIMIC_GOLDEN", ROOT.parent / "shared" / "golden")) / "v1_obs.npz"
OPTIONS = {
    "default": ObservationOptions(),
    "reference": ObservationOptions.reference(),
    "others": ObservationOptions(root_height=False, root_rotation="world", force_clip=None, num_skills=5),
}


def settings_of(options):
    """What the exported settings file would hold."""
    names = [field.name for field in dataclasses.fields(ObservationSettings)]
    return ObservationSettings(**{name: getattr(options, name) for name in names})


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_observation_is_that_of_jax(options):
    rng = np.random.default_rng(0)
    shapes = {"body_pos": (53, 3), "body_quat": (53, 4), "body_lin_vel": (53, 3), "body_ang_vel": (53, 3)}
    shapes |= {"dof_pos": (156,), "dof_vel": (156,), "object_pos": (3,), "object_quat": (4,), "object_lin_vel": (3,)}
    shapes |= {"object_ang_vel": (3,), "body_force": (53, 3), "object_force": (3,)}
    arrays = {name: rng.normal(size=(200, *shape)).astype(np.float32) for name, shape in shapes.items()}
    arrays = {name: rotations.normalize(x) if "quat" in name else x for name, x in arrays.items()}
    arrays["body_force"] *= 300.0
    labels = rng.integers(0, options.num_skills, 200)
    one_hot = skill_one_hot(labels, options.num_skills)
    ours = observe(BodyState(**arrays), one_hot, settings_of(options))
    assert isinstance(ours, np.ndarray)
    state = base.BodyState(**{name: jnp.asarray(x) for name, x in arrays.items()}, edges=jnp.zeros((200, 3), bool))
    expected = jax.jit(observe, static_argnums=2)(state, jnp.asarray(one_hot), options)
    assert ours.shape == (200, 838 + options.num_skills)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-3)
    forces = observation_layout(options).slice("fingertip_force")
    np.testing.assert_allclose(np.delete(ours, forces, -1), np.delete(expected, forces, -1), atol=2e-5)


@pytest.mark.skipif(not GOLDEN.is_file(), reason=f"golden vectors {GOLDEN} are not here (MJX_SKILLMIMIC_GOLDEN)")
def test_the_observation_is_the_published_one():
    with np.load(GOLDEN) as file:
        golden = dict(file)
    count, ball = len(golden["skill_label"]), golden["obj_state"]
    state = BodyState(
        body_pos=golden["body_pos"],
        body_quat=rotations.wxyz_from_xyzw(golden["body_rot"]),
        body_lin_vel=golden["body_vel"],
        body_ang_vel=golden["body_ang_vel"],
        dof_pos=np.zeros((count, 156)),
        dof_vel=np.zeros((count, 156)),
        object_pos=ball[:, :3],
        object_quat=rotations.wxyz_from_xyzw(ball[:, 3:7]),
        object_lin_vel=ball[:, 7:10],
        object_ang_vel=ball[:, 10:13],
        body_force=golden["contact_forces"],
        object_force=np.zeros((count, 3)),
    )
    options = settings_of(OPTIONS["reference"])
    obs = observe(state, skill_one_hot(golden["skill_label"], 64), options)
    assert obs.shape == (count, 902)
    np.testing.assert_allclose(obs[:, :823], golden["out_humanoid_obs"], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(obs[:, 823:838], golden["out_obj_obs"], rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(obs[:, 838:].argmax(-1), golden["skill_label"])


def make_policy(path, dtype="float32"):
    options = PPOOptions(actor_hidden=(40, 24, 16), critic_hidden=(8,), action_limit=0.2)
    params = networks.make_networks(options, 902, 156).init(jax.random.key(0))
    rng = np.random.default_rng(1)
    samples = rng.normal(0.5, rng.uniform(1e-4, 30.0, 902), (256, 902))
    moments = normalizer.merge(normalizer.init(902), jnp.asarray(samples, jnp.float32))
    policy = bundle(options, params, moments)
    save_policy(path, policy, dtype)
    return policy


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_policy_acts_as_it_does_in_jax(tmp_path, dtype):
    policy = make_policy(tmp_path / "made.npz", dtype)
    weights, settings = export_policy(tmp_path / "made.npz", tmp_path, ObservationOptions(), ActionOptions())
    obs = np.random.default_rng(2).normal(0.5, 40.0, (64, 902)).astype(np.float32)
    action = NumPyPolicy(weights)(obs)
    # far more than rounding is a clipped observation that is not, or a layer without its bias
    np.testing.assert_allclose(action, policy(obs), atol=1e-4 if dtype == "float32" else 2e-2)
    assert np.abs(action).max() == np.float32(0.2)
    expected = pd_targets(3.0 * action, ActionOptions())
    np.testing.assert_allclose(read_settings(settings).targets(3.0 * action), expected)
    with pytest.raises(ValueError, match="the policy takes 902 columns, got 900"):
        NumPyPolicy(weights)(obs[:, :900])


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "made.npz"
    make_policy(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(PolicyFileError, match=r"made\.npz: found no readable policy"):
        NumPyPolicy(path)
    make_policy(path)
    with np.load(path) as file:
        arrays = dict(file)
    kernel = "actor/params/body/hidden_1/kernel"
    np.savez(path, **{**arrays, kernel: arrays[kernel][:, 1:]})
    with pytest.raises(PolicyFileError, match="layers of shapes"):
        NumPyPolicy(path)
    np.savez(path, **{name: x for name, x in arrays.items() if name != "moments/var"})
    with pytest.raises(PolicyFileError, match="moments/var"):
        NumPyPolicy(path)
    settings = tmp_path / "made.json"
    settings.write_text(json.dumps({"format": "mjx_skillmimic policy settings", "version": 1, "observation": {}}))
    with pytest.raises(PolicyFileError, match=r"made\.json: found no readable settings"):
        read_settings(settings)
