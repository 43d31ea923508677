"""SkillMimic-V2: starts from anywhere near the clips, sampled where the reward is low, and a policy with a memory.

`ats` draws clips and frames, `noise` disturbs start states and `retime` finds the frame to go on with, `switch` starts
in other skills, `buffering` waits, `distractor` puts the ball of clips that have none anywhere; `law` puts these
together for `env`, the environment "SkillMimicV2".
"""
