"""Motion clips: reading, checking, converting, deriving, sampling.

`library.load_clips` finds clips, `table.build_table` puts them on the device; docs/motion_format.md has the formats.
"""
