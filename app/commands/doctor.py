"""What works on this machine, what does not, and why; ends with a self-test of each engine."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from twinlens.app.commands.display import no_window_reason
from twinlens.app.commands.options import add_model_options, resolve_model
from twinlens.app.commands.records import write_json
from twinlens.engine.errors import TwinlensError

PACKAGES = ("twinlens", "numpy", "opencv-python", "onnx", "onnxruntime", "PySide6", "mss", "rich")
# Engines answer alike up to rounding; a self-test that differs by more has found a fault.
_AGREEMENT = 1e-3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model_options(parser, engine=None, engines=False)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object")
    form.add_argument(
        "--report",
        action="store_true",
        help="what one can send when something went wrong: no paths, names or addresses in it",
    )


def execute(args: argparse.Namespace) -> int:
    """Look at everything; exit status 1 when the self-test fails."""
    if args.report:
        _write_report()
        return 0
    report = examine(args)
    if args.json:
        write_json(report)
    else:
        _print(report)
    return 0 if report["self_test"]["ok"] else 1


def _write_report() -> None:
    """Write the diagnostics; where reports of earlier faults lie goes beside them."""
    from twinlens.app.core.diagnostics.report import Live, compose, kept_reports, reports_folder
    from twinlens.app.core.session.engines import engine_choices
    from twinlens.app.core.settings import SettingsStore

    sys.stdout.write(compose(Live(SettingsStore().load(), engine_choices())))
    kept = kept_reports()
    if kept:
        sys.stderr.write(f"twinlens: {len(kept)} reports of faults are in {reports_folder()}\n")


def examine(args: argparse.Namespace) -> dict[str, Any]:
    """Collect the report as plain values."""
    from twinlens.app.sources import list_cameras
    from twinlens.engine.api import registry

    engines: list[dict[str, Any]] = []
    for engine_id in registry.engine_ids():
        engine = registry.get_engine(engine_id)
        reason = engine.available()
        engines.append(
            {
                "id": engine.id,
                "title": engine.title,
                "available": not reason,
                "reason": reason,
                "precisions": list(engine.precisions()) if not reason else [],
                "missing_precisions": dict(engine.missing_precisions()),
            }
        )
    reason = no_window_reason()
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "window": {"available": reason is None, "reason": reason},
        "engines": engines,
        "compiler": _compiler(),
        "providers": _providers(),
        "adapters": _adapters(),
        "cameras": [{"id": camera.id, "name": camera.name} for camera in list_cameras()],
        "self_test": self_test(args, [e["id"] for e in engines if e["available"]]),
    }


def self_test(args: argparse.Namespace, engine_ids: list[str]) -> dict[str, Any]:
    """Classify the bundled clip's first frame on each engine; all have to give one answer."""
    import numpy as np

    from twinlens.app.core.session.pipeline import Pipeline
    from twinlens.app.sources import open_source
    from twinlens.engine.api import registry

    answers: dict[str, Any] = {}
    first = None
    ok = bool(engine_ids)
    try:
        network = resolve_model(args)
    except TwinlensError as error:
        failed = {"ok": False, "error": error.message}
        return {"ok": False, "model": None, "engines": dict.fromkeys(engine_ids, failed)}
    for engine_id in engine_ids:
        source = open_source("clip", realtime=False)
        try:
            source.open()
            frame = source.read()
            with Pipeline(registry.load(network, engine_id), network.spec) as pipeline:
                if frame is None:
                    raise TwinlensError("the bundled clip has no frames")
                result = pipeline.process(frame)
        except TwinlensError as error:
            answers[engine_id] = {"ok": False, "error": error.message}
            ok = False
            continue
        finally:
            source.close()
        first = result.probabilities if first is None else first
        agrees = bool(np.abs(result.probabilities - first).max() < _AGREEMENT)
        ok &= agrees
        best = result.observations[0]
        answers[engine_id] = {
            "ok": agrees,
            "label": best.identifier,
            "confidence": round(best.confidence, 4),
            "ms": round(result.timings.infer_ms, 2),
            "runs_on": result.info.detail,
        }
    return {"ok": ok, "model": network.spec.id, "engines": answers}


def _compiler() -> dict[str, Any]:
    """What the layers are compiled with and for, and where the outcome is kept."""
    from twinlens.engine.targets.cpu.about import about

    found = about()
    return {
        "llvmlite": found.compiler,
        "problem": found.problem,
        "instructions": found.instructions,
        "processor": found.processor,
        "cache": {
            "folder": str(found.folder) if found.folder else None,
            "files": found.files,
            "bytes": found.size,
        },
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _providers() -> list[str]:
    from twinlens.engine.vision import available_providers

    try:
        return list(available_providers())
    except TwinlensError:
        return []


def _adapters() -> list[dict[str, Any]]:
    """The GPUs of layers-gpu, best first; none where wgpu is missing."""
    from twinlens.engine.targets.gpu.run.adapters import list_adapters

    try:
        found = list_adapters()
    except TwinlensError:
        return []
    return [
        {
            "name": adapter.name,
            "backend": adapter.backend,
            "kind": adapter.kind,
            "driver": adapter.driver,
            "fp16": adapter.half,
        }
        for adapter in found
    ]


def _precisions(row: dict[str, Any]) -> list[str]:
    """Lines about an engine's precisions; none for what has no precisions."""
    lines = []
    if row.get("precisions"):
        lines.append(f"computes in {', '.join(row['precisions'])}")
    missing = row.get("missing_precisions", {})
    return lines + [f"not in {name}: {reason}" for name, reason in missing.items()]


def _compiler_lines(compiler: dict[str, Any]) -> list[str]:
    kept = compiler["cache"]
    if compiler["problem"]:
        first = f"layers run in NumPy: {compiler['problem']}"
    else:
        processor = compiler["processor"] or "any processor of its kind"
        first = (
            f"layers are compiled by llvmlite {compiler['llvmlite']} "
            f"for {compiler['instructions']} ({processor})"
        )
    if kept["folder"] is None:
        return [first, "compiled plans are not kept (TWINLENS_CACHE is empty)"]
    megabytes = kept["bytes"] / 1e6
    return [first, f"compiled plans: {kept['folder']}, {kept['files']} files, {megabytes:.1f} MB"]


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    line = console.print
    line(f"Python {report['python']}, {report['system']}, {report['cpus']} CPUs")
    line(" · ".join(f"{name} {found or 'missing'}" for name, found in report["packages"].items()))
    rows = [("window", "window", report["window"])]
    rows += [("engine", engine["title"], engine) for engine in report["engines"]]
    for kind, title, row in rows:
        mark = "[green]✓[/]" if row["available"] else "[yellow]–[/]"
        reason = "" if row["available"] else f": {escape(str(row['reason']))}"
        line(f"{mark} {kind:7}{title if title != kind else ''}{reason}")
        for text in _precisions(row):
            line(f"    {escape(text)}")
    for text in _compiler_lines(report["compiler"]):
        line(f"  {escape(text)}")
    for adapter in report["adapters"]:
        half = "" if adapter["fp16"] else ", no fp16"
        text = f"{adapter['name']}, {adapter['backend']}, {adapter['kind']}{half}"
        line(f"  GPU adapter: {escape(text)}")
    line(f"  providers of ONNX Runtime: {', '.join(report['providers']) or 'none'}")
    cameras = ", ".join(f"{c['name']} (camera:{c['id']})" for c in report["cameras"])
    line(f"  cameras: {escape(cameras) or 'none found; the bundled clip plays instead'}")
    line(f"  model: {escape(report['self_test']['model'] or 'none can be read')}")
    for engine_id, answer in report["self_test"]["engines"].items():
        mark = "[green]✓[/]" if answer["ok"] else "[red]✗[/]"
        text = answer.get("error") or (
            f"{answer['label']} {answer['confidence']:.0%} in {answer['ms']:.1f} ms "
            f"on {answer['runs_on']}"
        )
        line(f"{mark} self-test {engine_id}: {escape(text)}")
    if not report["self_test"]["ok"]:
        sys.stderr.write("twinlens: the self-test failed\n")
