"""The folded PD is the implicit one."""

import mujoco
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.model.build import fold_pd
from mjx_skillmimic.model.options import SceneOptions
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.physics import contract, pd

_XML = """<mujoco><option gravity="0 0 0" timestep="{dt}"><flag eulerdamp="disable"/></option>
<worldbody><body name="J"><joint name="J" type="ball" armature="0.02"/><geom size=".1" mass="1"/></body></worldbody>
<actuator>{servos}</actuator></mujoco>"""


@pytest.mark.parametrize(("kp", "kd"), [(100.0, 10.0), (1000.0, 100.0), (400.0, 5.0)])
def test_step_response_equals_the_implicit_update(kp, kd):
    dt, axis, goal = 1 / 120, np.array([2.0, -1.0, 2.0]) / 3, 1.4
    servos = "".join(
        f'<position name="J_{c}" joint="J" gear="{g}" kp="{kp}" kv="{kd}"/>'
        for c, g in zip("xyz", ("1 0 0 0 0 0", "0 1 0 0 0 0", "0 0 1 0 0 0"), strict=True)
    )
    spec = mujoco.MjSpec.from_string(_XML.format(dt=dt, servos=servos))
    inertia = spec.copy().compile().body("J").inertia[0] + 0.02
    fold_pd(spec, SceneOptions(timestep=dt))
    model = spec.compile()
    data = mujoco.MjData(model)
    data.ctrl[:] = goal * axis
    angle, rate = 0.0, 0.0
    for _ in range(40):
        mujoco.mj_step(model, data)
        # (I + dt kd + dt² kp) ω⁺ = I ω + dt kp (goal − angle)
        rate = (inertia * rate + dt * kp * (goal - angle)) / (inertia + dt * kd + dt * dt * kp)
        angle += dt * rate
        np.testing.assert_allclose(rotations.log(data.qpos), angle * axis, atol=1e-9)
        np.testing.assert_allclose(data.qvel, rate * axis, atol=1e-8)


_HINGE = """<mujoco><option gravity="0 0 0" timestep="{dt}"><flag eulerdamp="disable"/></option>
<worldbody><body name="J"><joint name="J" type="hinge" axis=".48 -.6 .64" armature="0.02"/>
<geom size=".1" mass="1"/></body></worldbody>
<actuator><position name="J_x" joint="J" kp="{kp}" kv="{kd}"/></actuator></mujoco>"""


@pytest.mark.parametrize(("kp", "kd", "goal"), [(100.0, 10.0, 1.4), (100.0, 10.0, 4.0), (400.0, 5.0, -0.7)])
def test_step_response_of_a_hinge_equals_the_implicit_update(kp, kd, goal):
    """Also for a goal beyond half a turn, which a hinge takes the long way."""
    dt = 1 / 120
    spec = mujoco.MjSpec.from_string(_HINGE.format(dt=dt, kp=kp, kd=kd))
    inertia = spec.copy().compile().body("J").inertia[0] + 0.02
    fold_pd(spec, SceneOptions(timestep=dt))
    model = spec.compile()
    data = mujoco.MjData(model)
    data.ctrl[0] = goal
    angle, rate = 0.0, 0.0
    for _ in range(40):
        mujoco.mj_step(model, data)
        rate = (inertia * rate + dt * kp * (goal - angle)) / (inertia + dt * kd + dt * dt * kp)
        angle += dt * rate
        np.testing.assert_allclose([data.qpos[0], data.qvel[0]], [angle, rate], atol=1e-9)


@pytest.mark.parametrize("hands", ["ball", "hinge"])
@pytest.mark.parametrize("limit", [None, 50.0])
def test_jax_torque_equals_the_servos_of_mujoco(limit, hands):
    scene = build_scene(effort_limit=limit, hands=hands)
    qpos, qvel, target = contract.synthetic_states(scene, 20)
    data = mujoco.MjData(scene.model)
    for q, v, t in zip(qpos, qvel, target, strict=True):
        data.qpos[:], data.qvel[:], data.ctrl[:] = q, v, scene.servo_targets(t)
        mujoco.mj_forward(scene.model, data)
        force = pd.generalised_force(scene, q, v, t)
        np.testing.assert_allclose(force, data.qfrc_actuator, atol=1e-6 * max(1.0, np.abs(force).max()))
        if limit is not None:
            assert np.abs(force).max() == limit


def test_error_wraps_into_half_a_turn():
    x = np.linspace(-20.0, 20.0, 101)
    wrapped = pd.wrap(x)
    assert np.abs(wrapped).max() <= np.pi + 1e-12
    np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * x), atol=1e-12)
