"""Success rules, survival and reports on hand-made episodes."""

import dataclasses
import json

import numpy as np
import pytest

from mjx_skillmimic.evaluation import report, success
from mjx_skillmimic.evaluation.episodes import Episodes, concatenate

STEPS = 40


def still(skill: int = 1, count: int = 1, steps: int = STEPS) -> Episodes:
    """Somebody stands, hands at 1 m, while a ball lies on the floor 2 m away, as the reference has it."""
    n, t = count, steps
    ball = np.tile([2.0, 0.0, 0.12], (n, t, 1))
    return Episodes(
        valid=np.ones((n, t), bool),
        possible=np.full(n, t),
        fell=np.zeros(n, bool),
        clip=np.zeros(n, int),
        start=np.full(n, 2),
        skill=np.full(n, skill),
        root_pos=np.tile([0.0, 0.0, 0.9], (n, t, 1)),
        object_pos=ball,
        object_lin_vel=np.zeros((n, t, 3)),
        wrist_pos=np.tile([[0.3, 0.2, 1.0], [0.3, -0.2, 1.0]], (n, t, 1, 1)),
        hands_object=np.zeros((n, t), bool),
        reference_object_pos=ball.copy(),
        reference_contact=np.zeros((n, t)),
        reward=np.full((n, t), 0.5),
        body_error=np.full((n, t), 50.0),
        body_error_rooted=np.full((n, t), 40.0),
        object_error=np.zeros((n, t)),
        contact_error=np.zeros((n, t)),
        accurate=np.ones((n, t), bool),
        edge_error=np.zeros((n, t)),
        edge_accurate=np.ones((n, t), bool),
        peak_target=np.tile([0.5, 0.0, 2.5], (n, 1)),
        final_target=np.tile([3.0, 0.0, 1.0], (n, 1)),
    )


def value(rule: success.SuccessRule, episodes: Episodes) -> float:
    return float(rule.values(episodes)[0])


def test_pick_up_needs_the_ball_above_one_metre_while_the_episode_lasts():
    e = still()
    assert value(success.PICK_UP, e) == 0.0
    e.object_pos[0, 10, 2] = 1.01
    assert value(success.PICK_UP, e) == 1.0
    e.valid[0, 5:] = False
    assert value(success.PICK_UP, e) == 0.0


def test_dribble_is_the_fraction_of_possible_steps():
    e = still(13)
    e.object_pos[0, :10] = e.wrist_pos[0, :10, 1] + [0.0, 0.0, -0.29]
    e.object_lin_vel[0, 10:14, 2] = -2.1
    assert value(success.DRIBBLE_RIGHT, e) == pytest.approx(14 / STEPS)
    e.object_pos[0, 20:26] = e.wrist_pos[0, 20:26, 0]
    assert value(success.DRIBBLE_RIGHT, e) == pytest.approx(14 / STEPS)
    assert value(success.DRIBBLE, e) == pytest.approx(20 / STEPS)
    e.root_pos[0, :5, 2] = 0.4
    assert value(success.DRIBBLE, e) == pytest.approx(15 / STEPS)


def test_a_shot_must_pass_the_highest_point_of_the_reference():
    e = still(5)
    e.object_pos[0, 30] = [0.5, 0.45, 2.3]
    assert value(success.SHOT, e) == 1.0
    e.object_pos[0, 30] = [0.5, 0.45, 2.2]
    assert value(success.SHOT, e) == 0.0


def test_a_catch_is_flight_then_a_held_ball_that_was_touched():
    e = still(3)
    e.object_pos[0, 15:] = e.wrist_pos[0, 15:, 0] + [0.1, 0.0, 0.1]
    assert value(success.CATCH, e) == 0.0  # never touched
    e.hands_object[0, 16] = True
    assert value(success.CATCH, e) == 1.0
    never_away = still(3)
    never_away.object_pos[0] = never_away.wrist_pos[0, :, 0]
    never_away.hands_object[0] = True
    assert value(success.CATCH, never_away) == 0.0
    dropped = dataclasses.replace(e, object_pos=e.object_pos.copy())
    dropped.object_pos[0, 15 + success.HELD_STEPS - 1 :: success.HELD_STEPS, 2] = 0.1
    assert value(success.CATCH, dropped) == 0.0


def test_a_pass_must_leave_the_hands_and_arrive():
    e = still(4)
    e.object_pos[0, 35] = [2.7, 0.3, 1.0]
    assert value(success.PASS, e) == 1.0
    e.object_pos[0, 35] = [2.4, 0.3, 1.0]
    assert value(success.PASS, e) == 0.0


def test_unknown_labels_must_finish_their_clip():
    e = still(62)
    assert success.rule_for(62) is success.FINISHED
    assert value(success.FINISHED, e) == 1.0
    e.object_error[0, -1] = 501.0
    assert value(success.FINISHED, e) == 0.0
    fallen = still(62)
    fallen.valid[0, 20:] = False
    assert value(success.FINISHED, fallen) == 0.0


def test_rules_can_be_added():
    rule = success.SuccessRule("always", "every step", lambda e: np.ones_like(e.valid))
    before = dict(success.RULES)
    try:
        success.register(61, rule)
        assert value(success.rule_for(61), still(61)) == 1.0
    finally:
        success.RULES.clear()
        success.RULES.update(before)


def test_survival_and_frame_means_leave_out_what_came_after_the_fall():
    standing, falling = still(1), still(1)
    falling.valid[0, 11:] = False
    falling.fell[0] = True
    falling.body_error[0, :11] = 150.0
    falling.accurate[0, :11] = False
    both = concatenate([standing, falling])
    assert both.survived == pytest.approx([1.0, 10 / STEPS])
    numbers = report.numbers(both)
    assert numbers["acc"] == pytest.approx(40 / 51)
    assert numbers["e_b_mpjpe_mm"] == pytest.approx((40 * 50 + 11 * 150) / 51)
    summary = report.summarise(both)
    assert summary["unfallen"]["value"] == 0.5
    assert summary["frames"] == 51
    assert summary["acc"]["low"] <= summary["acc"]["value"] <= summary["acc"]["high"]


def test_concatenation_pads_with_invalid_steps():
    both = concatenate([still(1, 2, 10), still(1, 1, 25)])
    assert both.valid.shape == (3, 25)
    assert both.steps.tolist() == [10, 10, 25]


def test_report_groups_by_skill_and_clip_and_is_json():
    one, two = still(1, 3), still(13, 2)
    one.object_pos[:2, 5, 2] = 1.2
    two.clip[:] = 1
    result = report.report(concatenate([one, two]), ["pick", "run"])
    assert result["clips"]["pick"]["episodes"] == 3
    assert result["skills"]["001"]["success"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert result["skills"]["013"]["rule"] == success.DRIBBLE_RIGHT.name
    assert result["total"]["success"]["value"] == pytest.approx(2 / 5)
    assert json.loads(json.dumps(result)) == result
    table = report.text_table(result)
    assert len(table.splitlines()) == 2 + 2 + 2 + 1
    assert "66.7 [20.8, 93.9]" in table
