"""What a viewer may ask of a session, by name: the words that keys and buttons stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mjx_skillmimic.viewing.session import Session

# Commands that take no argument; "skill:LABEL" is the one that does.
COMMANDS = {
    "pause": "pause or go on",
    "step": "one control step",
    "reset": "begin again",
    "faster": "twice the speed",
    "slower": "half the speed",
    "box": "throw a box at the person",
    "ghost": "show or hide the reference",
    "next_clip": "the next clip or start",
    "previous_clip": "the clip or start before",
    "auto": "let the task's policy choose the skills again",
}
SKILL = "skill:"
NUM_SKILLS = 64
SPEEDS = (0.0625, 16.0)  # least and greatest


def check_command(command: str) -> str:
    """The command. Raises ValueError for one that does not exist, naming those that do."""
    label = command.removeprefix(SKILL)
    if command.startswith(SKILL) and label.isdecimal() and int(label) < NUM_SKILLS:
        return command
    if command not in COMMANDS:
        raise ValueError(
            f"no command {command!r}; there is {', '.join(COMMANDS)} and {SKILL}LABEL with a label below {NUM_SKILLS}"
        )
    return command


def do(session: Session, command: str) -> str:
    """Does a command and answers in words what was done. Raises ValueError for one that does not exist, or not now."""
    check_command(command)
    if command.startswith(SKILL):
        label = int(command.removeprefix(SKILL))
        session.set_skill(label)
        return f"skill {label}: {session.skills[label]}"
    match command:
        case "pause":
            session.paused = not session.paused
            return "paused" if session.paused else "going on"
        case "step":
            session.paused = True
            session.step()
            return f"step {session.status.step}"
        case "faster" | "slower":
            factor = 2.0 if command == "faster" else 0.5
            session.speed = min(max(session.speed * factor, SPEEDS[0]), SPEEDS[1])
            return f"speed {session.speed:g}"
        case "ghost":
            session.ghost = not session.ghost
            return "ghost shown" if session.ghost else "ghost hidden"
        case "box":
            session.throw_box()
            return "box thrown"
        case "auto":
            if session.task is None:
                raise ValueError("nobody but you chooses skills here: that takes a policy of a high-level task")
            session.task.auto = True
            return f"{session.policy} chooses"
    step = {"next_clip": 1, "previous_clip": -1}.get(command, 0)
    clip = (session.status.clip + step) % len(session.clips)
    session.reset(clip)
    return f"clip {session.clips[clip]}"
