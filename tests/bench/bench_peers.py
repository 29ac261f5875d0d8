"""Our compiled layers against every peer on this machine, batch 1, interleaved in one run.

Every peer runs each network in a process of its own, in turns (A B A B), with as many threads as
asked; tables show medians, ratios to ONNX Runtime, the share of the SGEMM peak measured in the
same rounds, and how far each peer's answers are from ONNX Runtime's.

Run: ``python tests/bench/bench_peers.py`` with any Python that the project runs on. The script
makes a virtual environment (``--venv``), installs the project and the peers there, and goes on
in it. The first run needs a package index and converts the networks; later ones take about
``nets × threads × peers × rounds × (seconds + 0.05)`` seconds, twice that with ``--load``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from peers import environment

_FAILURES = "TWINLENS_BENCH_FAILURES"


def arguments() -> argparse.Namespace:
    """The command line; names of networks and peers are checked where the modules are there."""
    cache = environment.cache_folder()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=cache / "bench-venv", metavar="DIR")
    parser.add_argument("--work", type=Path, default=cache / "bench-nets", metavar="DIR")
    parser.add_argument("--nets", help="names, with commas between (default: all)")
    parser.add_argument("--peers", help="ids, with commas between (default: all)")
    parser.add_argument("--threads", default="1,2", help="default: 1,2")
    parser.add_argument("--rounds", type=int, default=12, help="turns of each peer (12)")
    parser.add_argument("--seconds", type=float, default=0.15, help="timed, a turn (0.15)")
    parser.add_argument(
        "--load", action="store_true", help="measure beside a quarter of a core of work, too"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def enter(folder: Path) -> int:
    """Make the environment and go on in it."""
    failures = environment.prepare(folder, set(environment.PACKAGES))
    if "" in failures:
        print(f"the project: {failures['']}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        told = Path(temporary) / "failures.json"
        told.write_text(json.dumps(failures))
        command = [str(environment.python_of(folder)), __file__, *sys.argv[1:]]
        return subprocess.call(command, env={**os.environ, _FAILURES: str(told)})


def chosen(given: str | None, known: list[str], what: str) -> list[str]:
    """Names that were asked for, in the known order; all by default."""
    wanted = given.split(",") if given else known
    for name in wanted:
        if name not in known:
            raise SystemExit(f"no {what} named {name!r}; there are {', '.join(known)}")
    return [name for name in known if name in wanted]


def measure(args: argparse.Namespace, uninstalled: dict[str, str]) -> None:
    """Everything that was asked for, table by table."""
    from peers import report, rounds
    from peers.nets import NETS
    from peers.runners import PEERS

    nets = chosen(args.nets, list(NETS), "network")
    peers = chosen(args.peers, list(PEERS), "peer")
    if rounds.REFERENCE not in peers:
        peers.insert(0, rounds.REFERENCE)
    missing = {p: uninstalled[PEERS[p].library] for p in peers if PEERS[p].library in uninstalled}
    facts = machine()
    print(", ".join(f"{key} {value}" for key, value in facts.items()), flush=True)
    tables, macs = [], {}
    for net in nets:
        folder = args.work / version() / net
        folder.mkdir(parents=True, exist_ok=True)
        failures = missing | rounds.prepare(net, [p for p in peers if p not in missing], folder)
        about = json.loads((folder / "facts.json").read_text())
        macs[net] = about["macs"]
        for threads in map(int, args.threads.split(",")):
            field = rounds.Field(net, threads, peers, failures, folder, about["random"])
            try:
                for load in (False, True) if args.load else (False,):
                    tables.append(field.measure(load, args.rounds, args.seconds))
                    print("\n" + report.table_text(tables[-1], macs[net]), flush=True)
            finally:
                field.close()
    print("\n" + report.summary_text(tables))
    if args.json:
        args.json.write_text(json.dumps(report.as_json(tables, macs, facts)))


def machine() -> dict[str, object]:
    """What was measured on, and with which versions."""
    from importlib.metadata import version as installed

    from twinlens.engine.targets.cpu.codegen.isa import detect

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "instructions": detect().title,
        "python": platform.python_version(),
        **{package: installed(package) for package in environment.VERSIONS},
    }


def version() -> str:
    """Digest of what makes the networks' files: other networks get another folder."""
    digest = hashlib.sha256()
    for name in ("nets", "sketch", "convert", "tflite"):
        digest.update((Path(__file__).parent / "peers" / f"{name}.py").read_bytes())
    return digest.hexdigest()[:12]


def main() -> int:
    """Enter the environment, or measure in it."""
    args = arguments()
    told = os.environ.get(_FAILURES)
    if told is None:
        return enter(args.venv.resolve())
    measure(args, json.loads(Path(told).read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
