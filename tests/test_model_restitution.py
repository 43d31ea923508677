"""Drop tests: the ball's coefficient of restitution on the floor and on a body."""

import mujoco
import numpy as np
import pytest

from mjx_skillmimic.model.options import PRESETS
from mjx_skillmimic.model.scene import build_scene

GRAVITY = 9.81


def bounce(model, data, adr, dof, surface, speed, rng):
    """Speed ratio of one impact at `speed` m/s on a surface at height `surface`, corrected for gravity.

    Euler's steps keep v²/2 + g h − g dt v/2 in flight, so that is what tells how high the ball will fly.
    """
    lost = GRAVITY * model.opt.timestep
    gap = rng.uniform(0.0, speed * model.opt.timestep)
    data.qpos[adr + 2], data.qvel[dof + 2] = surface + 0.12 + gap, -speed
    touched = False
    for _ in range(60):
        mujoco.mj_step(model, data)
        height = data.qpos[adr + 2] - 0.12 - surface
        touched |= height < 0
        if touched and height > 0:
            break
    up = data.qvel[dof + 2]
    out = max(up**2 + 2 * GRAVITY * height - lost * up, 0.0) if up > 0 else 0.0
    return np.sqrt(out / (speed**2 + 2 * GRAVITY * gap + lost * speed))


def ratios(scene, on_body):
    """Restitution over 120 impacts of 1-6 m/s that start anywhere within a step.

    On a body: the ball falls on the top of the head, whose whole humanoid is turned into one immovable rock, so that
    the ball's velocity is the relative one.
    """
    spec, rng = scene.spec.copy(), np.random.default_rng(0)
    if on_body:
        for joint in [j for j in spec.joints if j.name != "object"]:
            for actuator in [a for a in spec.actuators if a.target == joint.name]:
                spec.delete(actuator)
            spec.delete(joint)
    model = spec.compile()
    data = mujoco.MjData(model)
    adr, dof = int(model.joint("object").qposadr[0]), int(model.joint("object").dofadr[0])
    mujoco.mj_forward(model, data)
    found = []
    for speed in np.linspace(1.0, 6.0, 120):
        mujoco.mj_resetData(model, data)
        if on_body:
            head = model.geom("Head").id
            mujoco.mj_forward(model, data)
            data.qpos[adr : adr + 2] = data.geom_xpos[head][:2]
            surface = data.geom_xpos[head][2] + model.geom_size[head][0]
        else:
            data.qpos[2], data.qpos[adr : adr + 2], surface = 5.0, (2.0, 0.0), 0.0
        found.append(bounce(model, data, adr, dof, surface, speed, rng))
    return np.array(found)


@pytest.mark.parametrize("preset", ["default", "reference"])
def test_ball_on_floor_bounces_at_0_805(preset):
    e = ratios(build_scene(PRESETS[preset]), on_body=False)
    assert e.mean() == pytest.approx(0.805, abs=0.02)
    assert e.std() < 0.03
    assert e.max() < 0.9


@pytest.mark.parametrize("preset", ["default", "reference"])
def test_ball_on_body_bounces_at_0_405(preset):
    e = ratios(build_scene(PRESETS[preset]), on_body=True)
    assert e.mean() == pytest.approx(0.405, abs=0.03)
    assert e.std() < 0.05


def test_restitution_can_be_switched_off():
    assert ratios(build_scene(restitution=False), on_body=False).mean() < 0.3
