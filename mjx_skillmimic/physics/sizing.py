"""How much room MJX-Warp gets for contacts and constraint rows: one function, from worlds, model and margin.

Warp shares one contact buffer among all worlds, keeps the candidate pairs of the broad phase in it too, and drops what
does not fit with no more than a flag. What states need was measured (`scripts/size_contacts.py`, contact_needs.json).
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.model import basket
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.needs import QUANTITIES, ROWS, Need, is_box_pair, possible_pairs

TABLE = Path(__file__).with_name("contact_needs.json")
# Room over what was measured: policies yet to be trained meet states that no measurement has.
MARGIN = 1.5
# −ln of the probability, 1e-9 a physics step, that independent worlds at their worst moment need more than `shared`.
_RARITY = 9 * math.log(10)
# A world's limits are loop bounds and array widths of kernels.
_MULTIPLE = 8
# Options that change which pairs may collide by a few.
_DETAILS = ("hands", "box_hands", "exclude_thumbs")


@dataclasses.dataclass(frozen=True)
class Capacity:
    """naconmax: contacts, and candidate pairs, of all worlds together. naccdmax: pairs of boxes of all worlds together,
    at most naconmax. njmax: constraint rows of one world. contacts_per_world: contacts of one world."""

    naconmax: int
    naccdmax: int
    njmax: int
    contacts_per_world: int


def capacity(scene: Scene, worlds: int, margin: float = MARGIN) -> Capacity:
    """Buffers for `worlds` worlds of `scene` on one device, `margin` times what `measured_needs` says.

    What worlds share: the worst world's need times their number while they are few; for many the sum's mean at its
    worst moment and a bound on what chance adds, which is less (`shared`). What each world has of its own is the worst
    world's need. A box pair a world is always there, for feet that cross. Raises ValueError if `worlds` is below 1 or
    `margin` below 1.
    """
    if worlds < 1:
        raise ValueError(f"worlds={worlds}; expected at least 1")
    if not margin >= 1:
        raise ValueError(f"margin={margin!r}; expected 1 or more")
    need = measured_needs(scene)
    together = max(shared(need["pairs"], worlds), shared(need["contacts"], worlds))
    box_pairs = int(is_box_pair(scene.model, possible_pairs(scene.model)).sum())
    boxes = min(max(margin * shared(need["boxes"], worlds), worlds), box_pairs * worlds)
    naconmax = _up(margin * together)
    return Capacity(
        naconmax=naconmax,
        naccdmax=min(_up(boxes), naconmax),
        njmax=_up(margin * need["rows"].max),
        contacts_per_world=_up(margin * need["contacts"].max),
    )


def shared(need: Need, worlds: int) -> float:
    """What `worlds` worlds need together, all at the same worst moment: Bernstein's bound on the sum of independent
    numbers with mean `peak`, deviation `spread` and no more than `max`."""
    reach = _RARITY * (need.max - need.peak) / 3
    chance = reach + math.sqrt(reach**2 + 2 * _RARITY * worlds * need.spread**2)
    return min(need.max * worlds, need.peak * worlds + chance)


def measured_needs(scene: Scene, table: Path = TABLE) -> dict[str, Need]:
    """The needs of the measured model that stands for `scene`, by quantity (`needs.Counts`).

    That is the one with the same self-collision and soles and the fewest pairs that may collide, but no fewer than
    `scene` has; where all have fewer, the one with most, scaled up by the number of pairs. None had a basket: what a
    ball at it adds at most is added, as if the balls of all worlds were there at once.
    """
    rows = _rows(table)
    alike = [row for row in rows if all(row["scene"][key] == value for key, value in _kind(scene).items())] or rows
    possible = possible_pairs(scene.model)
    extra = _basket_needs(scene)
    own = possible[~np.isin(possible, basket.geoms(scene.model)).any(axis=-1)]
    pairs, box_pairs = len(own), int(is_box_pair(scene.model, own).sum())
    enough = [row for row in alike if row["possible_pairs"] >= pairs]
    row = min(enough, key=_size) if enough else max(alike, key=_size)
    scale = max(1.0, pairs / _size(row))
    limit = dict.fromkeys(QUANTITIES, math.inf) | {"pairs": pairs, "boxes": box_pairs}
    return {
        name: _with(Need(**{k: min(scale * v, limit[name]) for k, v in row["needs"][name].items()}), extra[name])
        for name in QUANTITIES
    }


def _basket_needs(scene: Scene) -> dict[str, float]:
    most = {"pairs": basket.MOST_PAIRS, "contacts": basket.MOST_CONTACTS, "rows": ROWS * basket.MOST_CONTACTS}
    return {name: float(most.get(name, 0) if scene.options.basket else 0) for name in QUANTITIES}


def _with(need: Need, extra: float) -> Need:
    """The need of worlds of which each needs so much more."""
    more = {name: getattr(need, name) + extra for name in ("mean", "p95", "p99", "max", "peak")}
    return dataclasses.replace(need, **more)


def shortfalls(room: Capacity, needs: Mapping[str, Need], worlds: int) -> list[str]:
    """What `room` lacks for `needs` of `worlds` worlds, a sentence each; empty if it is enough."""
    wanted = {
        "naconmax": max(shared(needs["pairs"], worlds), shared(needs["contacts"], worlds)),
        "naccdmax": shared(needs["boxes"], worlds),
        "njmax": needs["rows"].max,
        "contacts_per_world": needs["contacts"].max,
    }
    return [
        f"{name} is {getattr(room, name)}, needed are {math.ceil(value)}"
        for name, value in wanted.items()
        if value > getattr(room, name)
    ]


def table_row(scene: Scene, needs: Mapping[str, Need], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The row of contact_needs.json for a scene; settings: how `needs` were measured."""
    return {
        "scene": _kind(scene) | {key: getattr(scene.options, key) for key in _DETAILS},
        "possible_pairs": len(possible_pairs(scene.model)),
        "needs": {name: {k: round(v, 3) for k, v in dataclasses.asdict(needs[name]).items()} for name in QUANTITIES},
        "settings": dict(settings),
    }


def write_row(row: Mapping[str, Any], table: Path) -> None:
    """Adds a row to a table, in the place of one for the same scene."""
    rows = [*_rows(table)] if table.exists() else []
    rows = [old for old in rows if old["scene"] != row["scene"]] + [dict(row)]
    rows.sort(key=lambda entry: json.dumps(entry["scene"], sort_keys=True))
    table.write_text(json.dumps(rows, indent=1) + "\n")
    _rows.cache_clear()


def _kind(scene: Scene) -> dict[str, Any]:
    """What decides over contacts more than the number of pairs does."""
    return {
        "self_collision": scene.options.self_collision,
        "feet": "corners" if scene.options.feet == "corners" else "box",
    }


def _size(row: Mapping[str, Any]) -> int:
    return int(row["possible_pairs"])


@functools.cache
def _rows(table: Path) -> list[dict[str, Any]]:
    return json.loads(table.read_text())


def _up(value: float) -> int:
    """The next multiple of `_MULTIPLE`, at least one."""
    return _MULTIPLE * max(1, math.ceil(value / _MULTIPLE))
