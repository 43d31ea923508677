"""One pre-training in a folder: progress, metrics, checkpoints, curves, and in the end the encoder's file."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from mjx_skillmimic.history.curves import draw
from mjx_skillmimic.history.dataset import make_samples
from mjx_skillmimic.history.encoder_file import Encoder, save_encoder
from mjx_skillmimic.history.frames import FrameOptions, reference_frames
from mjx_skillmimic.history.options import PretrainOptions
from mjx_skillmimic.history.pretrain import evaluate, init_state, run_epoch
from mjx_skillmimic.learning.checkpoint import Checkpoints
from mjx_skillmimic.learning.logging import JsonLines
from mjx_skillmimic.learning.progress import duration
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.library import motion_hash
from mjx_skillmimic.motion.table import build_table

ENCODER_FILE = "history_encoder.npz"
METRICS_FILE = "metrics.jsonl"
CURVES_FILE = "curves.png"
_CHECKPOINTS = "checkpoints"

Say = Callable[[str], None]


class PretrainError(RuntimeError):
    """A pre-training that cannot start or continue in its folder; the message says why."""


def pretrain_encoder(
    clips: Sequence[MotionClip],
    out: str | Path,
    options: PretrainOptions | None = None,
    frames: FrameOptions | None = None,
    *,
    seed: int = 0,
    resume: bool = False,
    save_every: int = 50,
    evaluate_every: int = 10,
    say: Say | None = None,
) -> Encoder:
    """Trains, and leaves in the folder `out` the encoder, metrics, curves and the checkpoint to resume from.

    A resumed run gives the numbers of one that was never interrupted. metrics.jsonl has a line an epoch: the means of
    `pretrain.run_epoch`, seconds, and every `evaluate_every` epochs `held_out/…`, those of `pretrain.evaluate`.

    Args:
        save_every: epochs between checkpoints. say: is given a line every few seconds.

    Raises:
        PretrainError: `out` holds something already and is not to be resumed, or was begun with other clips, options
            or another seed.
    """
    options, frames, out = options or PretrainOptions(), frames or FrameOptions(), Path(out)
    say = say or (lambda line: None)
    motions = build_table(clips, missing=options.missing)
    learned, held = make_samples(motions, reference_frames(motions, frames), options)
    begun = {
        "motion_hash": motion_hash(clips),
        "options": _plain(options),
        "frames": dataclasses.asdict(frames),
        "seed": seed,
    }
    checkpoints = _prepare(out, resume)
    root = jax.random.key(seed)
    state = init_state(jax.random.fold_in(root, 0), learned, options)
    seconds = 0.0
    if (latest := checkpoints.latest()) is not None:
        record = checkpoints.record(latest)
        _check(out, record["begun"], begun)
        state, seconds = checkpoints.restore(latest, state), float(record["seconds"])
        say(f"resuming after epoch {latest}")
    say(f"{learned.count} samples of {len(clips)} clips, {held.count} held out, {options.epochs} epochs")
    metrics = JsonLines(out / METRICS_FILE, keep_until=int(state.epoch))
    epoch_of = jax.jit(run_epoch, static_argnums=3)
    errors_of = jax.jit(evaluate, static_argnums=3)
    draws = jax.random.fold_in(root, 1)
    started, shown = time.monotonic() - seconds, 0.0
    try:
        for epoch in range(int(state.epoch), options.epochs):
            state, means = epoch_of(state, learned, jax.random.fold_in(draws, epoch), options)
            line = {name: float(value) for name, value in means.items()}
            last = epoch + 1 == options.epochs
            if held.count and (last or (epoch + 1) % evaluate_every == 0):
                line |= {f"held_out/{k}": float(v) for k, v in errors_of(state.weights, held, root, options).items()}
            seconds = time.monotonic() - started
            metrics.write(epoch + 1, {**line, "seconds": seconds})
            if last or (epoch + 1) % save_every == 0:
                checkpoints.save(epoch + 1, state, {"begun": begun, "seconds": seconds})
            if last or epoch < 2 or seconds - shown >= 5.0:
                shown = seconds
                say(_progress(epoch + 1, options.epochs, line, seconds))
    finally:
        metrics.close()
        checkpoints.close()
    results: dict[str, Any] = {"best_loss": float(state.best_loss), "seconds": round(seconds, 1)}
    for name, part in (("learned", learned), ("held_out", held)):
        if part.count:
            values = errors_of(state.best, part, root, options)
            results[name] = {key: float(value) for key, value in values.items()}
    metadata = {**begun, "clips": [clip.name for clip in clips], "samples": learned.count, "results": results}
    metadata |= {"epochs": int(state.epoch), "versions": {"jax": jax.__version__}}
    encoder = Encoder(state.best.encoder, frames, metadata)
    save_encoder(out / ENCODER_FILE, encoder)
    draw(out / METRICS_FILE, out / CURVES_FILE, still=results["learned"]["still"])
    return encoder


def _prepare(out: Path, resume: bool) -> Checkpoints:
    existing = sorted(entry.name for entry in out.iterdir()) if out.is_dir() else []
    if existing and not resume:
        raise PretrainError(f"{out} is not empty ({', '.join(existing[:5])}): resume, or name another folder")
    if resume and _CHECKPOINTS not in existing:
        raise PretrainError(f"{out} holds no pre-training to resume")
    return Checkpoints(out / _CHECKPOINTS, keep=1)


def _check(out: Path, begun: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises PretrainError that names what differs."""
    different = [
        f"{where}{name}: {old.get(name)}, now {new.get(name)}"
        for where, old, new in (("", begun, now), *((f"{k}.", begun[k], now[k]) for k in ("options", "frames")))
        for name in new
        if not isinstance(new[name], Mapping) and old.get(name) != new[name]
    ]
    if different:
        raise PretrainError(f"{out} was begun with other settings ({'; '.join(different)})")


def _plain(options: PretrainOptions) -> dict[str, Any]:
    """As JSON gives it back."""
    return json.loads(json.dumps(dataclasses.asdict(options)))


def _progress(epoch: int, epochs: int, line: Mapping[str, float], seconds: float) -> str:
    parts = [f"epoch {epoch}/{epochs}"]
    parts += [
        f"{name} {line[name]:.3g}" for name in ("loss", "body", "object", "code", "held_out/loss") if name in line
    ]
    return "  ".join([*parts, f"ETA {duration(seconds / epoch * (epochs - epoch))}"])
