"""What every engine promises, checked against a slow MuJoCo C loop and against formulas."""

from mjx_skillmimic.physics.contract.agreement import (
    FLAG_FORCE,
    PERCENTILES,
    TOLERANCES,
    SlowCourses,
    Tolerance,
    agreement,
    compare,
    passes,
)
from mjx_skillmimic.physics.contract.ball import friction, restitution
from mjx_skillmimic.physics.contract.flight import conservation, fly, servos
from mjx_skillmimic.physics.contract.isolation import isolation
from mjx_skillmimic.physics.contract.reference import Outcome, slow_rollout, slow_step
from mjx_skillmimic.physics.contract.states import Courses, States, clip_courses, synthetic_states
from mjx_skillmimic.physics.contract.stepper import Check, Stepper, engine_step, outcome_of
from mjx_skillmimic.physics.contract.suite import check_engine

__all__ = [
    "FLAG_FORCE",
    "PERCENTILES",
    "TOLERANCES",
    "Check",
    "Courses",
    "Outcome",
    "SlowCourses",
    "States",
    "Stepper",
    "Tolerance",
    "agreement",
    "check_engine",
    "clip_courses",
    "compare",
    "conservation",
    "engine_step",
    "fly",
    "friction",
    "isolation",
    "outcome_of",
    "passes",
    "restitution",
    "servos",
    "slow_rollout",
    "slow_step",
    "synthetic_states",
]
