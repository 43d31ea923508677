"""One ingredient of the reward changed at a time: `--config=configs/ablations.py:sum` (docs/ablations.md).

Everything else is `configs/ballplay.py`. full: the product of all factors. no_contact_graph: contacts count for
nothing. sum: the mean of the groups body, object, relative and contact. deepmimic: DeepMimic's weighted sum and the
ball's position, neither contacts nor relative motion. terms: the plain sum of four that SkillMimic-V2 calls DeepMimic.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import ml_collections

from mjx_skillmimic.config import load_config
from mjx_skillmimic.imitation.combination import GROUPS, TERMS

_NO_CONTACTS = dict.fromkeys(GROUPS["contact"], 0.0)

# DeepMimic's scales. Its released code multiplies the mean squared angle (rad²) of n joints by n·2/15 and that of their
# velocities by n·0.1/15, here n = 53; the paper takes 40 a squared metre for end effectors and 10 for the centre, here
# the root and also the ball. Our errors are means over three times as many components, hence the factor 3.
_DEEPMIMIC = {
    "r": 3 * 53 * 2 / 15,
    "rv": 3 * 53 * 0.1 / 15,
    "ee": 3 * 40.0,
    "root": 3 * 10.0,
    "op": 3 * 10.0,
    "p": 0.0,
    "ig": 0.0,
    **_NO_CONTACTS,
}

# reward.combine and the changed weights.
ABLATIONS: dict[str, tuple[str, Mapping[str, float]]] = {
    "full": ("product", {}),
    "no_contact_graph": ("product", _NO_CONTACTS),
    "sum": ("sum", {}),
    "deepmimic": ("deepmimic", _DEEPMIMIC),
    "terms": ("terms", {"ig": 0.0, **_NO_CONTACTS, **TERMS}),
}


def get_config(name: str = "full") -> ml_collections.ConfigDict:
    """The `default` configuration with one of ABLATIONS. Raises KeyError that lists them."""
    if name not in ABLATIONS:
        raise KeyError(f"no ablation {name!r}; there are {', '.join(ABLATIONS)}")
    config = load_config(Path(__file__).with_name("ballplay.py"), [], check=False)
    config.reward.combine, weights = ABLATIONS[name]
    config.weights.update(weights)
    return config
