"""Isaac Gym (Preview 4) as a recorder of traces: docs/isaacgym.md.

`export` and `starts` belong to our side and need MuJoCo; all others run in Python 3.8 with NumPy and Isaac Gym alone.
"""
