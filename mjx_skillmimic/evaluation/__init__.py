"""How good is a policy: the papers' metrics, success per skill, intervals, reports (docs/evaluation.md)."""
