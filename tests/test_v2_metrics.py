"""SkillMimic-V2's metrics against a plain reading of them, and what counts after a fall."""

import dataclasses

import numpy as np
import pytest

from mjx_skillmimic.evaluation.v2 import skills
from mjx_skillmimic.evaluation.v2.courses import Courses
from mjx_skillmimic.evaluation.v2.folds import Counted, OnceThenKept, Share
from mjx_skillmimic.evaluation.v2.metrics import AFTER_SWITCH, Seen, SkillMetric, adapted

NOWHERE = np.zeros(3)


def once_then_kept(hit, keep, boundary, later):
    reached, first = [], False
    for k in range(len(hit)):
        once_more = first or (hit[k] if k < boundary else keep[k])
        first = once_more if k < boundary or later == "any" else first and keep[k]
        reached.append(first)
    return reached


def counted(hit, keep, more, less):
    return [more < sum(hit[: k + 1]) < (less or 10**9) for k in range(len(hit))]


def share(hit, keep, after):
    return [k > after and sum(hit[after + 1 : k + 1]) / (k - after) > 0.8 for k in range(len(hit))]


@pytest.mark.parametrize(
    ("fold", "plain"),
    [
        (OnceThenKept(6), lambda h, k: once_then_kept(h, k, 6, "every")),
        (OnceThenKept(6, "any"), lambda h, k: once_then_kept(h, k, 6, "any")),
        (Counted(4), lambda h, k: counted(h, k, 4, None)),
        (Counted(2, 6), lambda h, k: counted(h, k, 2, 6)),
        (Share(0.8), lambda h, k: share(h, k, -1)),
        (Share(0.8, 5), lambda h, k: share(h, k, 5)),
    ],
)
def test_both_forms_say_what_a_loop_over_one_world_says(fold, plain):
    rng = np.random.default_rng(0)
    often = rng.uniform(0.01, 1.0, 200)
    hit, keep = rng.random((2, 14, 200)) < np.stack([often, np.sqrt(often)])[:, None]
    expected = np.array([plain(hit[:, i].tolist(), keep[:, i].tolist()) for i in range(200)]).T
    assert expected[-1].any()
    assert not expected[-1].all()
    np.testing.assert_array_equal(fold.over(hit, keep), expected)
    metric = SkillMetric("x", "", lambda seen, _: seen.root_pos, fold, lambda seen, _: seen.object_pos)
    memory, steps = metric.begin(200, np), []
    for k in range(14):
        memory = metric.update(memory, Seen(root_pos=hit[k], object_pos=keep[k]), NOWHERE, k)
        steps.append(memory.reached)
    np.testing.assert_array_equal(steps, expected)


def test_the_published_share_divides_by_one_step_too_few():
    hit = np.array([True] * 4 + [False])[:, None]
    assert Share(0.8).over(hit, hit)[:, 0].tolist() == [True, True, True, True, False]
    published = adapted(skills.RUN_NO_OBJECT, published=True).fold
    assert published.over(hit, hit)[:, 0].tolist() == [True] * 5  # 4 of "4"
    late = adapted(skills.RUN_NO_OBJECT, switched=True).fold
    lasting = np.ones((AFTER_SWITCH + 3, 1), bool)
    assert np.flatnonzero(late.over(lasting, lasting)).tolist() == [AFTER_SWITCH + 1, AFTER_SWITCH + 2]
    assert adapted(skills.RUN, switched=True, published=True) is skills.RUN


def seen(steps=400, worlds=1) -> Seen:
    """Somebody who stands at 0.9 m with a ball in motion, 0.4 m ahead at 1 m."""
    return Seen(
        root_pos=np.tile([0, 0, 0.9], (steps, worlds, 1)),
        root_lin_vel=np.zeros((steps, worlds, 3)),
        object_pos=np.tile([0.4, 0, 1.0], (steps, worlds, 1)),
        object_lin_vel=np.tile([0, 0, 1.0], (steps, worlds, 1)),
        wrist_pos=np.tile([0.3, 0, 1.0], (steps, worlds, 2, 1)),
    )


def reached(metric, what, target=NOWHERE):
    return bool(metric.reached(what, np.asarray(target, float))[-1, 0])


def test_a_dribble_must_go_on_and_a_ball_at_rest_ends_it():
    assert reached(skills.RUN, seen())
    for change in ("object_lin_vel", "object_pos", "root_pos"):
        ended = seen()
        getattr(ended, change)[250] = [9.0, 0.0, 0.0]  # no vertical speed; far away; root on the floor
        assert not reached(skills.RUN, ended)
    late = seen()
    late.object_pos[:150] = [9.0, 0, 1.0]  # comes into reach after the first 100 steps
    assert not reached(skills.RUN, late)


def test_throws_need_their_height_early_and_an_upright_person_late():
    thrown = seen()
    assert not reached(skills.LAYUP, thrown)
    thrown.object_pos[200] = [0, 0, 1.9]
    assert reached(skills.LAYUP, thrown)
    assert reached(skills.SHOT, thrown, [5.0, 5.0, 2.0])
    assert not reached(skills.SHOT, thrown, [5.0, 5.0, 2.2])
    thrown.object_lin_vel[350] = 0.0
    assert not reached(skills.LAYUP, thrown)
    assert reached(skills.SHOT, thrown, [5.0, 5.0, 2.0])
    thrown.root_pos[399, :, 2] = 0.4
    assert not reached(skills.SHOT, thrown, [5.0, 5.0, 2.0])
    # as published: whoever is up at step 300 has made the jump shot
    assert reached(skills.JUMP_SHOT, seen(301), [50.0, 50.0, 50.0])
    assert not reached(skills.JUMP_SHOT, seen(300), [50.0, 50.0, 50.0])


def test_labels_without_a_metric_are_refused():
    assert skills.metric_for(13) is skills.RUN
    with pytest.raises(ValueError, match="label 4: SkillMimic-V2 has no metric for it; there is one for 0, 1, 5"):
        skills.metric_for(4)


def courses(label=9, steps=400) -> Courses:
    one = np.ones((steps, 1))
    first_hundred = np.arange(steps)[:, None] < 100
    return Courses(seen(steps), 0.5 * one, first_hundred, one < 0, np.array([label]), *np.zeros((3, 1), int))


def test_nothing_counts_after_a_fall_unless_as_published():
    fell = courses()
    fell.seen.object_pos[20] = [0, 0, 2.0]
    fell.seen.root_pos[50:60, :, 2] = 0.2  # and gets up again
    assert np.flatnonzero(~fell.counts("frozen"))[0] == 51
    assert fell.counts("published").all()
    peak = np.array([0, 0, 2.0])
    assert fell.success(skills.SHOT, peak, "published").tolist() == [True]
    assert fell.success(skills.SHOT, peak, "frozen").tolist() == [False]
    earned, offered = fell.rewards("frozen")
    assert (earned[0], offered[0]) == (0.5 * 51, 100)
    assert fell.rewards("published")[0][0] == 50
    with pytest.raises(ValueError, match="frozen, published, got 'kept'"):
        fell.counts("kept")


def test_who_starts_on_the_floor_has_not_fallen():
    lying = courses(label=10)
    lying.seen.root_pos[:80, :, 2] = 0.1
    assert not lying.fallen().any()
    lying.seen.root_pos[90, :, 2] = 0.1
    assert lying.fallen().sum() == 1
    assert not dataclasses.replace(lying, label=np.array([0])).fallen().any()


def test_a_broken_world_never_counts_again():
    broken = courses()
    broken.broken[30] = True
    for accounting in ("frozen", "published"):
        assert broken.counts(accounting)[:, 0].tolist() == [True] * 30 + [False] * 370
    half = broken.select(np.array([0, 0]))
    assert half.seen.root_pos.shape == (400, 2, 3)
    assert half.label.tolist() == [9, 9]
