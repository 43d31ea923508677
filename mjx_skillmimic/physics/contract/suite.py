"""Everything that an engine promises, one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mjx_skillmimic.physics.contract import ball, flight
from mjx_skillmimic.physics.contract.agreement import SlowCourses, agreement
from mjx_skillmimic.physics.contract.isolation import isolation
from mjx_skillmimic.physics.contract.stepper import Check, Stepper


def check_engine(stepper: Stepper, slow: Mapping[str, SlowCourses], impacts: int = 28) -> Iterator[Check]:
    """All checks of one engine, as they are done.

    slow: what the slow loop made of the courses from several sources, by their names; the first ones also go through
    the tests of isolation and need three targets. impacts: how many on the floor, and on the body.
    """
    for name, courses in slow.items():
        for check in agreement(stepper, courses):
            yield check._replace(name=f"{check.name}, {name}")
    yield from isolation(stepper, next(iter(slow.values())).courses)
    yield from ball.restitution(stepper, impacts)
    yield from ball.friction(stepper)
    flown = flight.fly(stepper)
    yield flight.servos(stepper.scene, flown)
    yield from flight.conservation(stepper.scene, flown)
