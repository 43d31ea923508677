"""Teaches a history encoder on motion clips (docs/history_encoder.md).

python scripts/pretrain_history.py clips/BallPlay runs/encoder
python scripts/pretrain_history.py clips/BallPlay runs/encoder --resume
python scripts/pretrain_history.py throw_catch /tmp/encoder --epochs 50 --held-out 0.2

The folder receives history_encoder.npz, metrics.jsonl, curves.png and the checkpoint to resume from. Ctrl-C loses
at most 50 epochs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import get_args, get_type_hints


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; options of the pre-training default to what the preset says."""
    from mjx_skillmimic.history.options import PretrainOptions

    kinds = get_type_hints(PretrainOptions)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motions", metavar="MOTIONS", help="a clip's name, a file or a folder")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of what is written")
    parser.add_argument("--preset", choices=("default", "reference"), default="default")
    parser.add_argument("--resume", action="store_true", help="go on with what is in OUT")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="passes over the samples (1000)")
    parser.add_argument("--batch-size", type=int, help="samples of a gradient step (128)")
    parser.add_argument("--learning-rate", type=float, help="of Adam (1e-3)")
    parser.add_argument("--schedule", choices=get_args(kinds["schedule"]), help="of the learning rate")
    parser.add_argument("--predicts", choices=get_args(kinds["predicts"]), help="the predictor's output (frame)")
    parser.add_argument("--code-penalty", type=float, help="weight of the code's mean squared norm")
    parser.add_argument("--held-out", type=float, help="part at the end of each clip that is not learned from (0)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Trains and prints what came of it; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic.history.frames import FrameOptions
    from mjx_skillmimic.history.options import PretrainOptions
    from mjx_skillmimic.history.run import ENCODER_FILE, PretrainError, pretrain_encoder
    from mjx_skillmimic.motion.errors import MotionFormatError
    from mjx_skillmimic.motion.library import load_clips

    names = [field.name for field in dataclasses.fields(PretrainOptions)]
    given = {name: value for name, value in vars(args).items() if name in names and value is not None}
    try:
        options = dataclasses.replace(getattr(PretrainOptions, args.preset)(), **given)
        encoder = pretrain_encoder(
            load_clips(args.motions),
            args.out,
            options,
            getattr(FrameOptions, args.preset)(),
            seed=args.seed,
            resume=args.resume,
            say=lambda line: print(line, flush=True),
        )
    except (FileNotFoundError, MotionFormatError, PretrainError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command with --resume continues", file=sys.stderr)
        return 130
    print(json.dumps(encoder.metadata["results"], indent=1))
    print(args.out / ENCODER_FILE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
