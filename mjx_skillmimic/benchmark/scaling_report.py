"""A scaling study as a picture with ideal lines and as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mjx_skillmimic.benchmark.scaling import Record

Curve = list[tuple[float, float]]


def curves(records: Sequence[Record], along: str, fixed: Callable[[Record], Any]) -> dict[str, Curve]:
    """Points (`along`, env steps/s) of the records that `fixed` maps to the same label; None leaves a record out.

    Only curves with at least two points, in ascending order.
    """
    found: dict[str, Curve] = {}
    for record in records:
        label = fixed(record)
        if label is not None:
            found.setdefault(label, []).append((record[along], record["env_steps_per_s"]))
    return {label: sorted(curve) for label, curve in found.items() if len(curve) > 1}


def panels(records: Sequence[Record]) -> dict[str, tuple[str, dict[str, Curve], bool]]:
    """Title → (axis, curves, whether ideal is proportional to it): what a study has to show."""

    def only_worlds(r: Record) -> str | None:
        return f"{_name(r)}, {r['devices']} devices, {r['horizon']} steps" if r["seeds"] == 1 else None

    def only_horizon(r: Record) -> str | None:
        return f"{_name(r)}, {r['devices']} devices, {r['worlds']} worlds" if r["seeds"] == 1 else None

    candidates = {
        "weak scaling: equal worlds a device": (
            "devices",
            lambda r: f"{_name(r)}, {r['worlds'] // r['devices']} worlds a device, {_rest(r)}",
            True,
        ),
        "strong scaling: equal worlds in all": (
            "devices",
            lambda r: f"{_name(r)}, {r['worlds']} worlds, {_rest(r)}",
            True,
        ),
        "worlds": ("worlds", only_worlds, False),
        "horizon": ("horizon", only_horizon, False),
        "seeds at once": (
            "seeds",
            lambda r: f"{_name(r)}, {r['devices']} devices, {r['worlds']} worlds a seed, {r['horizon']} steps",
            False,
        ),
    }
    found = {
        title: (along, curves(records, along, label), ideal) for title, (along, label, ideal) in candidates.items()
    }
    return {title: panel for title, panel in found.items() if panel[1]}


def plot_study(records: Sequence[Record], out: Path) -> Path:
    """Draws every panel of `panels` into one PNG; dashed: proportional to the devices. Raises ValueError for a study
    without two points to compare."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = panels(records)
    if not shown:
        raise ValueError(f"{len(records)} points, expected at least two that differ in one thing")
    figure, axes = pyplot.subplots(1, len(shown), figsize=(5.2 * len(shown), 4.4), squeeze=False, layout="constrained")
    for axis, (title, (along, lines, proportional)) in zip(axes[0], shown.items(), strict=True):
        for label, curve in lines.items():
            places, rates = zip(*curve, strict=True)
            (line,) = axis.plot(places, rates, marker="o", label=label)
            if proportional:
                ideal = [rates[0] * place / places[0] for place in places]
                axis.plot(places, ideal, linestyle="--", color=line.get_color(), alpha=0.6)
        axis.set(title=title, xlabel=along, ylabel="env steps/s, whole training iterations", ylim=(0, None))
        ticks = sorted({place for curve in lines.values() for place, _ in curve})
        axis.set_xscale("log", base=2)
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=130)
    pyplot.close(figure)
    return out


def table(records: Sequence[Record]) -> str:
    """All points as Markdown, with their weak and strong efficiency: the rate over that of one device times devices."""
    lines = [
        "| engine | devices | worlds | steps | seeds | env steps/s | weak | strong | lost contacts | device |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for record in records:
        rate, devices = record["env_steps_per_s"], record["devices"]
        singles = [_reference(records, record, worlds) for worlds in (record["worlds"] // devices, record["worlds"])]
        weak, strong = ("-" if devices == 1 or not one else f"{rate / one / devices:.0%}" for one in singles)
        lines.append(
            f"| {record['engine']} | {devices} | {record['worlds']} | {record['horizon']} | {record['seeds']} "
            f"| {rate:,.0f} | {weak} | {strong} | {record['overflow_fraction']:.2%} | {record['device']} |"
        )
    return "\n".join(lines) + "\n"


def _reference(records: Sequence[Record], record: Record, worlds: int) -> float | None:
    """The rate of one device with so many worlds, everything else alike."""
    wanted = record | {"devices": 1, "worlds": worlds}
    names = ("device", "engine", "devices", "worlds", "horizon", "seeds", "config_hash")
    return next((r["env_steps_per_s"] for r in records if all(r[name] == wanted[name] for name in names)), None)


def _name(record: Record) -> str:
    return f"{record['engine']} on {record['device']}"


def _rest(record: Record) -> str:
    seeds = f", {record['seeds']} seeds" if record["seeds"] > 1 else ""
    return f"{record['horizon']} steps{seeds}"
