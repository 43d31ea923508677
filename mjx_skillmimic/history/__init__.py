"""SkillMimic-V2's history encoder: one second of the past in three numbers (skillmimic_v2.md §4).

`frames` makes the 316 numbers of an instant, `window` keeps sixty of them, `encoder` turns them into three, `pretrain`
teaches it to, `encoder_file` keeps it.
"""
