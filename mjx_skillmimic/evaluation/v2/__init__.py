"""The evaluation of SkillMimic-V2: its metrics, its protocol, and its tables measured again (skillmimic_v2.md §10)."""
