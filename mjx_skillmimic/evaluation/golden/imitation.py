"""Checks of the published observation, feature, reward, termination and PD vectors (skillmimic.md §4-§7)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import jax
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.evaluation.golden.registry import Quantity, covers
from mjx_skillmimic.imitation import actions, contact_graph, features, observation, reward, termination
from mjx_skillmimic.imitation.options import ActionOptions, ObservationOptions, RewardOptions, TerminationOptions
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.model.assets import assets_dir
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.physics.base import BodyState

OBSERVATION = {"atol": 5e-5, "rtol": 1e-5}
REWARD = {"atol": 2e-6, "rtol": 1e-5}
PD = {"atol": 1e-6, "rtol": 1e-6}

# Published names of the weights and ours.
_FACTORS = ("p", "r", "pv", "rv", "op", "or", "opv", "orv", "ig", "cg1", "cg2")

Arrays = dict[str, np.ndarray]


def body_state(size: int, **known: np.ndarray) -> BodyState:
    """A `BodyState` of `size` worlds with the given arrays and zeros (unit quaternions) elsewhere."""
    bodies = humanoid.NUM_BODIES
    shapes = {
        **dict.fromkeys(("body_pos", "body_lin_vel", "body_ang_vel", "body_force"), (bodies, 3)),
        **dict.fromkeys(("dof_pos", "dof_vel"), (humanoid.NUM_DOFS,)),
        **dict.fromkeys(("object_pos", "object_lin_vel", "object_ang_vel", "object_force", "edges"), (3,)),
    }
    fields = {name: np.zeros((size, *shape), np.float32) for name, shape in shapes.items()}
    for name, shape in (("body_quat", (bodies, 4)), ("object_quat", (4,))):
        fields[name] = np.zeros((size, *shape), np.float32)
        fields[name][..., 0] = 1.0
    return BodyState(**{**fields, **known})


def object_fields(state: np.ndarray) -> Arrays:
    """The published 13-number object state (N, 13) by our names."""
    return {
        "object_pos": state[:, 0:3],
        "object_quat": rotations.wxyz_from_xyzw(state[:, 3:7]),
        "object_lin_vel": state[:, 7:10],
        "object_ang_vel": state[:, 10:13],
    }


@covers("v1_obs")
def check_observation(arrays: Arrays) -> Iterator[Quantity]:
    """The 823 humanoid and 15 object columns, the label, and the two published variants."""
    labels = arrays["skill_label"]
    state = body_state(
        len(labels),
        body_pos=arrays["body_pos"],
        body_quat=rotations.wxyz_from_xyzw(arrays["body_rot"]),
        body_lin_vel=arrays["body_vel"],
        body_ang_vel=arrays["body_ang_vel"],
        body_force=arrays["contact_forces"],
        **object_fields(arrays["obj_state"]),
    )
    options = ObservationOptions.reference()
    layout = observation.observation_layout(options)
    one_hot = observation.skill_one_hot(labels, options.num_skills)
    obs = np.asarray(jax.jit(observation.observe, static_argnums=2)(state, one_hot, options))
    yield Quantity("obs_size", np.array(obs.shape[-1]), arrays["out_obs_size"])
    yield Quantity("contact_body_ids", np.array(humanoid.indices(humanoid.FINGERTIPS)), arrays["contact_body_ids"])
    yield Quantity("humanoid_obs", obs[:, layout.slice("humanoid")], arrays["out_humanoid_obs"], **OBSERVATION)
    yield Quantity("obj_obs", obs[:, layout.slice("object")], arrays["out_obj_obs"], **OBSERVATION)
    yield Quantity("skill", np.argmax(obs[:, layout.slice("skill")], axis=-1), labels)
    variants = {
        "local_root": dataclasses.replace(options, root_rotation="world"),
        "no_root_h": dataclasses.replace(options, root_height=False),
    }
    for name, variant in variants.items():
        expected = arrays[f"out_humanoid_obs_{name}_16"]
        ours = observation.observe(state, one_hot, variant)[: len(expected), layout.slice("humanoid")]
        yield Quantity(f"humanoid_obs_{name}", ours, expected, **OBSERVATION)


@covers("v1_hoi_obs")
def check_features(arrays: Arrays) -> Iterator[Quantity]:
    """The simulated 380-column row by name."""
    body_pos = np.zeros((len(arrays["root_pos"]), humanoid.NUM_BODIES, 3), np.float32)
    body_quat = np.zeros((*body_pos.shape[:2], 4), np.float32)
    body_pos[:, 0] = arrays["root_pos"]
    body_pos[:, arrays["key_body_ids"]] = arrays["key_body_pos"]
    body_quat[:, 0] = rotations.wxyz_from_xyzw(arrays["root_rot"])
    state = body_state(
        len(body_pos),
        body_pos=body_pos,
        body_quat=body_quat,
        dof_pos=arrays["dof_pos"],
        dof_vel=arrays["dof_vel"],
        **object_fields(arrays["obj_state"]),
    )
    yield Quantity("key_body_ids", np.array(humanoid.indices(humanoid.KEY_BODIES)), arrays["key_body_ids"])
    ours = jax.jit(features.simulated_features, static_argnums=2)(
        state, arrays["progress_buf"], RewardOptions.reference()
    )
    yield from compare_features(ours, Features.from_row(arrays["out_hoi_obs"]))


def compare_features(ours: Features, expected: Features, prefix: str = "") -> Iterator[Quantity]:
    """Every field of two feature structs; all but the root's rotation are copies and must be equal."""
    for name in Features.__dataclass_fields__:
        tolerance = OBSERVATION if name == "root_rotvec" else {}
        mine, theirs = (np.asarray(getattr(x, name)) for x in (ours, expected))
        yield Quantity(f"{prefix}{name}", mine, theirs, **tolerance)


@covers("v1_reward")
def check_reward(arrays: Arrays) -> Iterator[Quantity]:
    """Every factor, the total with four sets of weights, in float32 (JAX, jitted) and in float64 (NumPy)."""
    yield Quantity("contact_body_ids", np.array(humanoid.indices(humanoid.BODY_CONTACT)), arrays["contact_body_ids"])
    names = tuple(arrays["weight_names"].tolist())
    sim, ref = (Features.from_row(arrays[key]) for key in ("hoi_obs", "hoi_ref"))
    history, force = arrays["hist_dof_vel"], arrays["contact_forces"]
    flags = (contact_graph.body_contact(force), contact_graph.object_contact(arrays["obj_contact_force"]))
    combination = np.stack([*flags, ref.contact > 0.5], axis=-1).astype(np.int64)
    yield Quantity("flags (body, ball, reference)", combination, arrays["combo_body_obj_ref"])

    options = RewardOptions.reference()
    jitted = jax.jit(reward.imitation_reward, static_argnums=6)

    def total(name: str) -> np.ndarray:
        return np.asarray(jitted(sim, ref, history, *flags, named_weights(names, arrays[name]), options)[0])

    default = total("weights_default")
    yield Quantity("reward", default, arrays["out_reward"], **REWARD)
    yield Quantity("reward_f32", default, arrays["out_reward_f32"], **REWARD)
    yield Quantity("reward_weights_000", total("weights_000"), arrays["out_reward_weights_000"], **REWARD)
    yield Quantity("reward_weights_random", total("weights_random"), arrays["out_reward_weights_random"], **REWARD)
    get_up = reward.RewardWeights().for_skill(np.zeros(len(history), int))
    ours = np.asarray(jitted(sim, ref, history, *flags, get_up, options)[0])
    yield Quantity("reward of skill 000", ours, arrays["out_reward_weights_000"], **REWARD)

    weights = named_weights(names, arrays["factor_weights"])
    _, factors = jitted(sim, ref, history, *flags, weights, options)
    for name in (*_FACTORS, "smooth"):
        yield Quantity(f"factor_{name}", np.asarray(factors[name]), arrays[f"out_factor_{name}"], **REWARD)

    sim, ref = (Features.from_row(arrays[key].astype(np.float64)) for key in ("hoi_obs", "hoi_ref"))
    weights = named_weights(names, arrays["weights_default"].astype(np.float64))
    exact, _ = reward.imitation_reward(sim, ref, history.astype(np.float64), *flags, weights, options)
    yield Quantity("reward_f64 (in float64)", exact, arrays["out_reward_f64"], **REWARD)
    yield Quantity("reward_f64 (in float32)", default, arrays["out_reward_f64"], **REWARD)


def named_weights(names: tuple[str, ...], values: np.ndarray) -> reward.RewardWeights:
    """Published weights (..., 11) in the file's order as our struct."""
    if sorted(names) != sorted(_FACTORS):
        raise ValueError(f"weight_names: expected {', '.join(_FACTORS)}, found {', '.join(names)}")
    fields = {"or_" if name == "or" else name: values[..., i] for i, name in enumerate(names)}
    return reward.RewardWeights(**fields)


_VARIANT = re.compile(r"out_terminate_(train|test)(_no_early)?(?:_cfg(\d+))?")


@covers("v1_reset")
def check_termination(arrays: Arrays) -> Iterator[Quantity]:
    """Falls and time-outs of every variant in the file; its name says mode and configured length."""
    found = [match for match in map(_VARIANT.fullmatch, arrays) if match]
    if not found:
        raise KeyError("out_terminate_*")
    height, progress = arrays["root_height"], arrays["progress_buf"]
    for match in found:
        mode, no_early, configured = match.group(1), match.group(2), int(match.group(3) or 0)
        options = TerminationOptions(
            fall_height=None if no_early else float(arrays["termination_height"]),
            time_out="fixed" if mode == "test" and configured > 0 else "clip",
            episode_length=configured or 60,
            object_distance=None,
        )
        name = match.group().removeprefix("out_terminate_")
        body_pos = np.zeros((len(height), humanoid.NUM_BODIES, 3), np.float32)
        body_pos[:, 0, 2] = height
        sim = features.simulated_features(body_state(len(height), body_pos=body_pos))
        ending = termination.termination(sim, sim, progress, arrays["clip_episode_length"], options)
        yield Quantity(f"terminate_{name}", ending.terminated.astype(int), arrays[f"out_terminate_{name}"])
        yield Quantity(f"reset_{name}", ending.done.astype(int), arrays[f"out_reset_{name}"])


@covers("v1_pd")
def check_pd(arrays: Arrays) -> Iterator[Quantity]:
    """Names, tree, limits, gains and armature of our humanoid, and the targets of given actions."""
    import mujoco

    model = mujoco.MjModel.from_xml_path(str(assets_dir() / "humanoid.xml"))
    first = model.body(humanoid.BODIES[0]).id
    bodies = [model.body(first + i).name for i in range(model.nbody - first)]
    yield _equal_names("body_names (asset)", bodies, arrays["body_names"])
    yield _equal_names("body_names (package)", list(humanoid.BODIES), arrays["body_names"])
    parents = np.maximum(model.body_parentid[first:] - first, -1)
    parents[0] = -1
    yield Quantity("body_parent", parents, arrays["body_parent"])
    yield _equal_names("joint_names", [model.actuator(i).name for i in range(model.nu)], arrays["joint_names"])
    joints = model.actuator_trnid[:, 0]
    yield Quantity("joint_body", model.jnt_bodyid[joints] - first, arrays["joint_body"])
    axes = np.argmax(np.abs(model.actuator_gear[:, :3]), axis=-1)
    yield Quantity("joint axis (x, y, z by name)", axes, np.array(["xyz".index(n[-1]) for n in arrays["joint_names"]]))
    yield Quantity("stiffness", model.actuator_gainprm[:, 0], arrays["stiffness"], **PD)
    yield Quantity("damping", -model.actuator_biasprm[:, 2], arrays["damping"], **PD)
    yield Quantity("armature", model.dof_armature[model.jnt_dofadr[joints] + axes], arrays["armature"], **PD)

    every = np.ones(humanoid.NUM_DOFS, np.float32)
    yield Quantity("limit_lower", actions.LOWER_LIMIT * every, arrays["limit_lower"], **PD)
    yield Quantity("limit_upper", actions.UPPER_LIMIT * every, arrays["limit_upper"], **PD)
    offset, scale = actions.offset_and_scale()
    yield Quantity("pd_action_offset", offset * every, arrays["pd_action_offset"], **PD)
    yield Quantity("pd_action_scale", scale * every, arrays["pd_action_scale"], **PD)
    options = ActionOptions(clip=None)
    targets = jax.jit(actions.pd_targets, static_argnums=1)(arrays["action"], options)
    yield Quantity("pd_target", np.asarray(targets), arrays["out_pd_target"], **PD)
    yield Quantity("key_body_ids", np.array(humanoid.indices(humanoid.KEY_BODIES)), arrays["key_body_ids"])
    yield Quantity("contact_body_ids", np.array(humanoid.indices(humanoid.FINGERTIPS)), arrays["contact_body_ids"])


def _equal_names(name: str, ours: list[str], expected: np.ndarray) -> Quantity:
    """Two lists of names as a count of those that differ at their place, expected 0."""
    differing = sum(a != b for a, b in zip(ours, expected.tolist(), strict=False)) + abs(len(ours) - len(expected))
    return Quantity(name, np.array(differing), np.array(0))
