"""Rules without a reference, windows and the switching matrix on hand-made trajectories."""

import json

import numpy as np
import pytest

from mjx_skillmimic.evaluation import switching
from mjx_skillmimic.evaluation.free_play import concatenate
from mjx_skillmimic.evaluation.free_rules import free_rule_for, held, longest_run
from mjx_skillmimic.evaluation.success import PICK_UP
from tests.free_plays import fall, still

HAND = (0.3, -0.2, 1.05)  # 5 cm from the right wrist


def reached(skill, play, apex=2.5):
    return free_rule_for(skill).reached(play, apex).tolist()


def test_a_window_moves_the_steps_and_knows_falls_before_and_in_it():
    play = still(4, 20)
    play.object_pos[:, :, 0] = np.arange(20)
    for world, step in ((1, 3), (2, 9), (3, 12)):
        fall(play, world, step)
    cut = play.window(np.array([5, 5, 5, 5]), 5)
    np.testing.assert_array_equal(cut.object_pos[0, :, 0], [5, 6, 7, 8, 9])
    assert cut.fell.tolist() == [False, True, True, False]  # before it, on its last step, after it
    assert cut.valid.sum(axis=1).tolist() == [5, 0, 5, 5]
    assert cut.possible.tolist() == [5, 5, 5, 5]
    with pytest.raises(ValueError, match="steps 16 to 21 of 4 worlds: there are 20"):
        play.window(np.full(4, 16), 5)


def test_plays_of_different_length_do_not_join():
    assert len(concatenate([still(2, 5), still(1, 5)])) == 3
    with pytest.raises(ValueError, match=r"\[5, 6\]"):
        concatenate([still(1, 5), still(1, 6)])


def test_pick_up_as_published_and_held():
    play = still(4, 60)
    play.object_pos[:3, 20:, 2] = 1.01
    play.hands_object[1, 20:49] = True  # 29 steps
    play.hands_object[2, 20:50] = True
    fall(play, 0, 19)
    assert PICK_UP.values(play).tolist() == [0.0, 1.0, 1.0, 0.0]
    assert held(play).tolist() == [False, False, True, False]
    # without a hand a ball above one metre is a ball in flight
    play.hands_object[:] = False
    assert reached(1, play) == [False] * 4
    play.hands_object[2, 59] = True
    assert reached(1, play) == [False, False, True, False]


def test_longest_run():
    hits = np.array([[1, 1, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0], [1, 0, 1, 0, 1, 0]], bool)
    assert longest_run(hits).tolist() == [3, 0, 1]


@pytest.mark.parametrize(("skill", "wrist"), [(13, 1), (11, 1), (42, 0)])
def test_dribble_needs_four_fifths_of_the_last_second_and_a_half(skill, wrist):
    play = still(3, 120)
    at_hand = play.wrist_pos[0, 0, wrist]
    play.object_pos[0, 30 : 30 + 72] = at_hand  # 72 of the last 90
    play.object_pos[1, 30 : 30 + 71] = at_hand
    play.object_lin_vel[1, :30, 2] = -2.1  # before that stretch nothing counts
    play.object_lin_vel[2, :, 2] = -2.1
    assert reached(skill, play) == [True, False, True]
    fall(play, 2, 119)
    assert reached(skill, play) == [True, False, False]


def test_the_published_dribble_asks_for_the_right_wrist():
    play = still(1, 90)
    play.object_pos[0] = play.wrist_pos[0, 0, 0]
    assert reached(13, play) == [False]
    assert reached(42, play) == [True]


def test_a_throw_is_held_then_released_then_high():
    play = still(5, 60)
    play.object_pos[:, :20] = HAND
    play.object_pos[0, 30:, 2] = 2.0
    play.object_pos[1, 30:, 2] = 1.99
    play.object_pos[2, :20] = (2.0, 0.0, 3.0)  # it flies already when it begins
    play.object_pos[3, 30:, 2] = 2.0
    play.root_pos[3, 30:, 2] = 0.45
    play.object_pos[4, 20:] = HAND
    play.object_pos[4, 30:, 2] = 2.0
    fall(play, 4, 25)
    for skill in (5, 31, 34):
        assert reached(skill, play) == [True, False, False, False, False]


def test_every_skill_that_needs_its_reference_has_no_rule_here():
    assert free_rule_for(4) is None
    assert free_rule_for(63) is None
    assert free_rule_for(3).name == "free catch"


def test_schedule_pairs_every_skill_and_keeps_the_worlds_of_one_row():
    skills, lengths = np.array([1, 13, 13]), np.array([40, 60, 50])
    schedule = switching.draw_schedule(skills, lengths, 50, seed=3)
    assert len(schedule.first) == 4 * 50
    pairs = np.unique(np.stack([schedule.first, schedule.second]), axis=1).T
    assert pairs.tolist() == [[1, 1], [1, 13], [13, 1], [13, 13]]
    np.testing.assert_array_equal(skills[schedule.clip], schedule.first)
    assert set(schedule.clip[schedule.first == 13].tolist()) == {1, 2}
    assert (schedule.frame >= 2).all()
    assert (schedule.frame <= lengths[schedule.clip] - 2).all()
    assert schedule.switch.min() >= 30
    assert schedule.switch.max() <= 90
    first, second = (schedule.first == 13) & (schedule.second == 1), (schedule.first == 13) & (schedule.second == 13)
    np.testing.assert_array_equal(schedule.frame[first], schedule.frame[second])
    np.testing.assert_array_equal(schedule.switch[first], schedule.switch[second])
    labels = schedule.labels
    assert labels.shape == (270, 200)
    world = int(np.flatnonzero(first)[0])
    assert (labels[: schedule.switch[world], world] == 13).all()
    assert (labels[schedule.switch[world] :, world] == 1).all()


def test_switching_matrix_counts_who_stands_and_who_succeeds():
    n = 8
    schedule = switching.Schedule(
        first=np.array([1, 1, 1, 1, 13, 13, 13, 13]),
        second=np.array([1, 1, 13, 13, 1, 1, 13, 13]),
        clip=np.zeros(n, int),
        frame=np.full(n, 2),
        switch=np.full(n, 40),
    )
    play = still(n, 270)
    # 1 → 1: the ball is up before the switch only, or in the very first step after it
    play.object_pos[[0, 1], :, 2], play.hands_object[[0, 1]] = 1.2, True
    play.hands_object[0, 40:], play.hands_object[1, 41:] = False, False
    # 1 → 13: one falls after the three seconds that are judged, one in them
    play.object_pos[[2, 3]] = HAND
    fall(play, 2, 220)
    fall(play, 3, 219)
    # 13 → 1: one fell before the switch, one is down when the time is over
    fall(play, 4, 20)
    play.root_pos[5, 219, 2] = 0.45
    # 13 → 13: one bounces the ball in the last 90 of the judged steps
    play.object_lin_vel[6, 130:220, 2] = 2.5
    found = switching.judge(schedule, play, {1: 1.2, 13: 1.0})
    values = {name: [[c["value"] for c in row] for row in found[name]] for name in ("standing", "success")}
    assert found["labels"] == [1, 13]
    assert values["standing"] == [[1.0, 0.5], [0.0, 1.0]]
    assert values["success"] == [[0.5, 0.5], [0.0, 0.5]]
    assert [entry["value"] for entry in found["ready"]] == [1.0, 0.75]
    assert found["success_of_ready"][1][0]["n"] == 1
    assert found["standing"][0][0]["n"] == 2
    assert json.loads(json.dumps(found)) == found
