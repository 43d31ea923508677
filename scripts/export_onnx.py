"""Writes a policy as an ONNX model, the statistics of its observations inside: docs/checkpoints.md.

python scripts/export_onnx.py --policy shipped-six --out shipped-six.onnx

Needs pip install -e '.[onnx]'; to run the model, onnxruntime or any other runtime.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", required=True, help="a run's folder, a policy file or a shipped policy's name")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT.onnx")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Writes the file; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic import pretrained
    from mjx_skillmimic.evaluation.setup import CONFIG_FILE, run_config
    from mjx_skillmimic.interop.onnx_export import export_onnx

    try:
        file = pretrained.locate(args.policy)
        policy = pretrained.load(file)
        known = "config" in policy.metadata or file.with_name(CONFIG_FILE).is_file()
        written = export_onnx(args.out, policy, args.policy, run_config(file) if known else None)
    except (ValueError, OSError, ImportError) as error:
        print(f"export_onnx: {error}", file=sys.stderr)
        return 2
    sizes = f"obs (N, {policy.obs_size}) to action (N, {policy.action_size})"
    print(f"{written}: {sizes}, {written.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
