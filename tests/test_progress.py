"""What is shown of a run."""

from __future__ import annotations

import io

import pytest

from mjx_skillmimic.learning.progress import LiveProgress, PlainProgress, Row, duration

METRICS = {
    "reward": 0.5,
    "env/reward/p": 0.25,
    "env/reward/pv": 1.0,
    "env/reward/total": 0.5,
    "episode/length": 12.34,
    "episode/falls": 3.0,
    "env/nonfinite": 0.0,
    "nonfinite_updates": 2.0,
}


def row(iteration: int) -> Row:
    return Row(iteration, 64_000 * iteration, 40_000_000, 104_321.0, 60.0 * iteration, 3723.0, METRICS)


def test_cells_hold_reward_factors_in_use_episodes_trouble_and_time() -> None:
    assert row(2).cells() == {
        "iteration": "2",
        "env steps": "128.0k/40.00M",
        "steps/s": "104.3k",
        "reward": "0.5000",
        "p": "0.250",
        "episode": "12.3",
        "falls": "3",
        "skipped": "2",
        "ETA": "1:02:03",
    }


def test_plain_lines_are_thinned_but_the_last_is_shown() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream, interval=3600.0)
    progress.message("begins")
    for iteration in range(1, 10):
        progress.update(row(iteration))
    progress.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "begins"
    assert [line.split()[1] for line in lines[1:]] == ["1", "2", "9"]


def test_the_live_table_shows_the_latest_rows_and_every_column() -> None:
    console = pytest.importorskip("rich.console").Console(file=io.StringIO(), force_terminal=True, width=140)
    progress = LiveProgress(console)
    for iteration in range(101, 131):
        progress.update(row(iteration))
    progress.message("evaluation: [good]")
    progress.close()
    shown = console.file.getvalue()
    last = shown[shown.rindex("evaluation: [good]") :]
    for text in ("reward", "falls", "ETA", "130", "119", "1:02:03"):
        assert text in last
    assert " 118 " not in last


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (86_400, "24:00:00")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
