"""Measures the papers' results again: Tables 1, 2 and 3, Fig. 8, switching between skills, and SkillMimic-V2's tables.

python scripts/reproduce.py table1 --policy full=runs/a nocg=runs/b --motion BallPlay-M/layup --out docs/results/table1
python scripts/reproduce.py table2 --policy runs/seven --motion BallPlay-M/layup --engine mujoco --engine mjx-warp
python scripts/reproduce.py fig8 --policy 1=runs/p1 10=runs/p10 all=runs/pick --motion BallPlay-M/pick_40 --count 1000
python scripts/reproduce.py switching --policy runs/seven --motion BallPlay-M/layup BallPlay-M/run
python scripts/reproduce.py table3 --policy runs/heading runs/scoring --count 1000 --seeds 3 --out docs/results/table3

python scripts/reproduce.py v2-table1 --policy V2=runs/v2 SM=runs/sm --motion V2-BallPlay --out docs/results/v2_table1
python scripts/reproduce.py v2-matrix --policy ballplay-seven --motion V2-BallPlay --tell 9=5

Table 3 is of policies of high-level tasks, each in its own environment, and of two baselines there: choices at random
and the best single skill. Policies from scratch stand beside those that choose in the same task. --task Heading
Circling measures the baselines where there is no policy yet.
v2-table1, 3, 4, 5, 6 and v2-matrix are those of SkillMimic-V2, for policies of either kind of environment.
Writes OUT.json and OUT.md, and OUT.png for fig8, switching and v2-matrix. What is measured and why: docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mjx_skillmimic.evaluation.policies import BASELINES

# Worlds a seed: starts in all, worlds a skill, episodes a policy, balls of a kind, worlds a pair of skills.
COUNTS = {"table1": 96, "table2": 96, "table3": 1000, "fig8": 1000, "switching": 64}
# A skill and a pair of skills; balls.
V2_TABLES = ("v2-table1", "v2-table3", "v2-table4", "v2-table5", "v2-table6", "v2-matrix")
COUNTS |= dict.fromkeys(V2_TABLES, 256) | {"v2-table5": 1000, "v2-matrix": 64}


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=COUNTS)
    parser.add_argument(
        "--policy", nargs="+", default=[], metavar="[NAME=]P",
        help=f"run folders, policy files, shipped policies or {', '.join(BASELINES)}; NAME is shown in tables",
    )  # fmt: skip
    parser.add_argument("--task", nargs="+", default=[], help="for table3: tasks measured with the baselines alone")
    parser.add_argument(
        "--motion", nargs="+", default=[], help="clip names, files or folders; for table3 to start from, may be absent"
    )
    parser.add_argument(
        "--engine", action="append", help="mujoco (default), mjx-warp, mjx-jax, physx, auto; may be repeated"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many evaluation seeds (default 3: 0, 1, 2)")
    parser.add_argument(
        "--count", type=int, help=f"worlds a seed, default {COUNTS}: in all, a skill, a policy, balls, a pair"
    )
    parser.add_argument(
        "--balls", nargs="+", choices=("still", "rolling"), default=["still", "rolling"], help="for fig8"
    )
    parser.add_argument(
        "--tell", nargs="+", default=[], metavar="LABEL=TOLD", help="for v2-*: label told instead of that of the clips"
    )
    parser.add_argument(
        "--accounting", choices=("frozen", "published"), default="frozen",
        help="for v2-*: whether anything counts after a fall (default: no)",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=1024, help="worlds at a time (default 1024)")
    parser.add_argument("--preset", default="default", help="configuration of a baseline: default or reference")
    parser.add_argument("--out", type=Path, help="path without suffix, e.g. docs/results/table2; default: print only")
    args = parser.parse_args(argv)
    required = ("policy", "motion") if args.what != "table3" else () if args.task else ("policy",)
    if missing := [f"--{name}" for name in required if not getattr(args, name)]:
        parser.error(f"{args.what} needs {' and '.join(missing)}{' or --task' if args.what == 'table3' else ''}")
    return args


def named(policies: list[str]) -> dict[str, str]:
    """Name shown → policy. Without a NAME= it is the last part of the path. Raises ValueError for a name used twice."""
    found: dict[str, str] = {}
    for text in policies:
        name, given, policy = text.partition("=")
        name, policy = (name, policy) if given and not Path(text).exists() else (Path(text).stem, text)
        if not name or not policy or name in found:
            raise ValueError(f"--policy {text!r}: expected NAME=POLICY with a name of its own, or POLICY")
        found[name] = policy
    return found


def told(pairs: list[str]) -> dict[int, int]:
    """Label of the clips → label that policies are told. Raises ValueError for anything but LABEL=TOLD."""
    found = {}
    for text in pairs:
        label, _, instead = text.partition("=")
        if not label.isdigit() or not instead.isdigit():
            raise ValueError(f"--tell {text!r}: expected LABEL=TOLD, such as 9=5")
        found[int(label)] = int(instead)
    return found


def command(args: argparse.Namespace) -> str:
    """The command line for the page, without the folders of this machine."""
    from mjx_skillmimic.evaluation.reproduce import short

    policies = [p if (p := short(policy)) == name else f"{name}={p}" for name, policy in named(args.policy).items()]
    words = ["python scripts/reproduce.py", args.what]
    for option, values in (("--policy", policies), ("--task", args.task), ("--motion", map(short, args.motion))):
        listed = list(values)
        words += [option, *listed] if listed else []
    words += [f"--engine {engine}" for engine in args.engine or []]
    words += [f"--preset {args.preset}"] if args.what == "table3" and args.task and args.preset != "default" else []
    words += [f"--seeds {args.seeds}", f"--count {args.count or COUNTS[args.what]}"]
    if args.what == "fig8" and args.balls != ["still", "rolling"]:
        words += ["--balls", *args.balls]
    if args.what in V2_TABLES:
        words += ["--tell", *args.tell] if args.tell else []
        words += [f"--accounting {args.accounting}"] if args.accounting != "frozen" else []
    return " ".join(words + ([f"--out docs/results/{args.out.name}"] if args.out else []))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """The document of what was asked for."""
    asked = {
        "policies": named(args.policy),
        "motion": args.motion,
        "engines": args.engine or ["mujoco"],
        "seeds": range(args.seeds),
        "count": COUNTS[args.what] if args.count is None else args.count,
        "batch": args.batch,
        "preset": args.preset,
        "say": lambda line: print(line, file=sys.stderr, flush=True),
    }
    if args.what == "table3":
        from mjx_skillmimic.evaluation.reproduce_table3 import TaskRequest, table3

        return table3(TaskRequest(tasks=args.task, **asked), command(args))
    if args.what in V2_TABLES:
        from mjx_skillmimic.evaluation.v2.protocol import V2Request
        from mjx_skillmimic.evaluation.v2.tables import v2_table

        request_v2 = V2Request(accounting=args.accounting, told=told(args.tell), **asked)
        return v2_table(args.what, request_v2, command(args))
    from mjx_skillmimic.evaluation.reproduce import Request
    from mjx_skillmimic.evaluation.reproduce_fig8 import fig8
    from mjx_skillmimic.evaluation.reproduce_tables import table1, table2
    from mjx_skillmimic.evaluation.switching import switching

    request = Request(**asked)
    if args.what == "fig8":
        return fig8(request, command(args), tuple(dict.fromkeys(args.balls)))
    return {"table1": table1, "table2": table2, "switching": switching}[args.what](request, command(args))


def main(argv: list[str] | None = None) -> int:
    """Measures, prints the page and writes the files; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic.evaluation.publish import compact_json
    from mjx_skillmimic.evaluation.reproduce_table3_text import page as table3_page
    from mjx_skillmimic.evaluation.reproduce_text import markdown
    from mjx_skillmimic.evaluation.v2.text import page as v2_page
    from mjx_skillmimic.viewing.success_map import draw_success_map
    from mjx_skillmimic.viewing.switch_matrix import V2_PANELS, draw_switch_matrix

    try:
        document = measure(args)
    except (FileNotFoundError, ValueError, KeyError, ImportError) as error:
        print(f"reproduce: {error.args[0] if isinstance(error, KeyError) else error}", file=sys.stderr)
        return 2
    write = table3_page if args.what == "table3" else v2_page if args.what in V2_TABLES else markdown
    page = write(document, args.out.name if args.out else args.what)
    print(page)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.with_name(f"{args.out.name}.json").write_text(compact_json(document))
        args.out.with_name(f"{args.out.name}.md").write_text(page)
        picture = args.out.with_name(f"{args.out.name}.png")
        if args.what == "fig8":
            draw_success_map(document, picture)
        elif args.what in ("switching", "v2-matrix"):
            draw_switch_matrix(document, picture, *([V2_PANELS] if args.what == "v2-matrix" else []))
    return 0


if __name__ == "__main__":
    sys.exit(main())
