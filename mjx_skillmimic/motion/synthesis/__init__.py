"""Clips of our own: ball skills made by choreography, inverse kinematics and ballistic ball flight (docs/clips.md).

A skill (`skills/`) writes a `Plan`: where the ball, hands, feet, pelvis and chest go. `ik` finds the joint angles,
`assemble` makes a `MotionClip`, and `checks` measures what every shipped clip must hold. Only `ik` needs mink.
"""
