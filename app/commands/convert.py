"""Write a model in another form: ONNX, raw parameters, safetensors, npz, or Python.

The form follows from the name that is written to: .onnx, .safetensors, .npz, .py, or a name without
an ending, which is a folder of .dat files. What cannot be written whole is not written at all.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from twinlens.app.commands.records import write_json
from twinlens.engine.errors import TwinlensError

if TYPE_CHECKING:
    from twinlens.engine.api.protocol import ModelSpec, Network
    from twinlens.engine.graph import Graph
    from twinlens.engine.layers import Array
    from twinlens.engine.params import AxisOrder

SUFFIXES = {".onnx": "onnx", ".safetensors": "safetensors", ".npz": "npz", ".py": "python"}
FORMS = ("onnx", "dat", "safetensors", "npz", "python")
ORDERS = {"OHWI": "MPSCNN", "OIHW": "PyTorch", "HWIO": "TensorFlow"}
"""Axis orders by their letters; the tools' names do as well."""


@dataclass(frozen=True)
class Job:
    """One conversion.

    Attributes:
        graph: the network.
        spec: what is known about it.
        target: where it goes.
        half: kernels and matrices as float16.
        order: of kernels in raw files.
    """

    graph: Graph
    spec: ModelSpec
    target: Path
    half: bool
    order: AxisOrder


@dataclass(frozen=True)
class Form:
    """A form that can be written.

    Attributes:
        companions: endings of what is written beside the target.
        write: writes all of it into a folder.
    """

    companions: tuple[str, ...]
    write: Callable[[Job, Path], None]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "source", metavar="SRC", help="catalog name, model file, or parameters of a known network"
    )
    parser.add_argument("target", metavar="DST", help="file, or folder of .dat files, to write")
    parser.add_argument("--to", choices=FORMS, help="the form, where DST does not tell it")
    parser.add_argument(
        "--order",
        metavar="ORDER",
        help="axis order of kernels in .dat files: OHWI (MPSCNN, the default), OIHW (BNNS, "
        "PyTorch), HWIO (TensorFlow) or TFLite",
    )
    parser.add_argument("--half", action="store_true", help="kernels and matrices as float16")
    parser.add_argument(
        "--fold", action="store_true", help="batch normalisation into the layer in front of it"
    )
    parser.add_argument("--force", action="store_true", help="replace what is there")
    parser.add_argument("--labels", type=Path, help="label file, one name a line, class 0 first")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def execute(args: argparse.Namespace) -> int:
    """Convert and report what was written."""
    from twinlens.app.core.outputs import check_outputs, outputs
    from twinlens.models.identify.facts import Origin
    from twinlens.models.identify.resolve import identify

    name = form_of(args.target, args.to)
    order = order_of(args.order, name)
    form, target = _FORMS[name], Path(args.target)
    targets = [target, *(target.with_suffix(ending) for ending in form.companions)]
    _check_target(target, name, force=args.force)
    check_outputs(targets, force=args.force)
    found = identify(args.source, labels=args.labels)
    if found.problem is not None and (args.labels is not None or found.model is None):
        raise found.problem
    nameless = found.known.origins.get("labels", Origin.ASSUMED) is Origin.ASSUMED
    spec = replace(found.known.spec, labels=()) if nameless else found.known.spec
    network = found.network_as(spec)
    graph = _graph(network, fold=args.fold)
    job = Job(graph, network.spec, target, args.half, order)
    with outputs(targets, force=args.force) as folder:
        form.write(job, folder)
        made = {path.name for path in folder.iterdir()}
    written = [path for path in targets if path.name in made]
    record = _record(args.source, name, job, written)
    if args.json:
        write_json(record)
    else:
        _print_record(record)
    if nameless:
        why = found.problem.message if found.problem else "nothing names the classes"
        sys.stderr.write(f"twinlens: no labels were written: {why}\n")
    return 0


def form_of(target: str, chosen: str | None) -> str:
    """The form that a name stands for.

    Raises:
        TwinlensError: its ending is none that can be written.
    """
    suffix = Path(target).suffix.lower()
    if chosen is not None:
        if chosen == "python" and suffix != ".py":
            raise TwinlensError(f"{target}: a Python module needs a name that ends in .py")
        return chosen
    if not suffix or target.endswith(("/", "\\")) or Path(target).is_dir():
        return "dat"
    if suffix not in SUFFIXES:
        raise TwinlensError(
            f"{target}: nothing is written as {suffix}",
            hint=f"Known are {', '.join(SUFFIXES)} and a folder of .dat files; or use --to.",
        )
    return SUFFIXES[suffix]


def order_of(word: str | None, form: str) -> AxisOrder:
    """The axis order by its letters or a tool's name.

    Raises:
        TwinlensError: it is not known, or the form has an order of its own.
    """
    from twinlens.engine import params

    if word is None:
        return params.MPSCNN
    if form != "dat":
        raise TwinlensError(
            f"--order {word}: only folders of .dat files have a choice of axis orders",
            hint="The other forms store shapes, with kernels as OIHW.",
        )
    known = {name.lower(): order for name, order in params.ORDERS.items()}
    known |= {letters.lower(): params.ORDERS[name] for letters, name in ORDERS.items()}
    if word.lower() not in known:
        raise TwinlensError(
            f"--order {word}: is not known; known are {', '.join((*ORDERS, *params.ORDERS))}"
        )
    return known[word.lower()]


def _check_target(target: Path, form: str, *, force: bool) -> None:
    """Refuse names that no file can have, and to replace what may be somebody's work."""
    from twinlens.engine.params.manifest import NAME

    if not target.name:
        _refuse(f"{target}: has no name to write to")
    if not force or not target.exists():
        return
    if form != "dat":
        if target.is_dir():
            _refuse(f"{target}: is a folder; a file was to be written there")
    elif not target.is_dir():
        _refuse(f"{target}: is a file; a folder was to be written there")
    elif any(target.iterdir()) and not (target / NAME).is_file():
        _refuse(f"{target}: holds other things than converted parameters; it is not replaced")


def _refuse(message: str) -> NoReturn:
    raise TwinlensError(message, hint="Give another name.")


def _graph(network: Network, *, fold: bool) -> Graph:
    from twinlens.engine.api.labels import check_labels
    from twinlens.engine.graph.passes import fold_batch_norm, remove_identities

    graph = network.graph
    if network.spec.labels:
        check_labels(network, prod(graph.shapes[graph.outputs[0]]))
    return fold_batch_norm(remove_identities(graph)) if fold else graph


def _write_onnx(job: Job, folder: Path) -> None:
    from twinlens.engine.formats import onnx_from_graph
    from twinlens.engine.formats.onnx.half import halve
    from twinlens.models.identify.embedded import metadata_of

    model = onnx_from_graph(job.graph, metadata=metadata_of(job.spec))
    if job.half:
        halve(model)
    (folder / job.target.name).write_bytes(model.SerializeToString())


def _write_dat(job: Job, folder: Path) -> None:
    from twinlens.engine.params import write_raw
    from twinlens.models.identify.sidecar import INSIDE, write_values

    inner = folder / job.target.name
    inner.mkdir()
    write_raw(inner, job.graph, job.order, half=job.half)
    if not _is_known(inner):
        text = _module_beside(job, "Path(__file__).parent")
        (inner / "model.py").write_text(text, encoding="utf-8", newline="\n")
    write_values(inner / INSIDE, _settings(job.spec))


def _write_safetensors(job: Job, folder: Path) -> None:
    from twinlens.engine.params import write_safetensors

    _write_arrays(job, folder, write_safetensors)


def _write_npz(job: Job, folder: Path) -> None:
    from twinlens.engine.params import write_npz

    _write_arrays(job, folder, write_npz)


def _write_arrays(
    job: Job, folder: Path, write: Callable[[Path, Mapping[str, Array]], None]
) -> None:
    """Parameters in one file; of a network that is not known, with the module that assembles it."""
    from twinlens.engine.params import arrays_of

    path = folder / job.target.name
    write(path, arrays_of(job.graph, half=job.half))
    if not _is_known(path):
        name = json.dumps(job.target.name, ensure_ascii=False)
        text = _module_beside(job, f"Path(__file__).with_name({name})")
        path.with_suffix(".py").write_text(text, encoding="utf-8", newline="\n")
    _write_settings(job, folder, _settings(job.spec))


def _is_known(path: Path) -> bool:
    """Whether written parameters are found to be those of a network in ``models``."""
    from twinlens.engine.errors import ModelError
    from twinlens.models.networks.table import match_parameters

    try:
        match_parameters(path)
    except ModelError:
        return False
    return True


def _module_beside(job: Job, parameters: str) -> str:
    """A module that assembles the network from its arrays, which keep the names that they have.

    Args:
        job: the conversion.
        parameters: where the module finds them, as Python.
    """
    from twinlens.engine.formats.python import module_name, python_module
    from twinlens.engine.params import arrays_of

    stem = module_name(job.target.stem)
    module = python_module(job.graph, job.spec, stem)
    own = f'Path(__file__).with_suffix("{_PYTHON_PARAMETERS}")'
    names = _stored_names(module.arrays, arrays_of(job.graph))
    if any(name != stored for name, stored in names.items()):
        rows = "".join(
            f"    {json.dumps(name, ensure_ascii=False)}: "
            f"{json.dumps(stored, ensure_ascii=False)},\n"
            for name, stored in names.items()
        )
        parameters += f"\nNAMES = {{\n{rows}}}"
    text = module.text.replace(own, parameters)
    if "\nNAMES = {" in text:
        text = text.replace("import open_parameters\n", "import open_parameters, renamed\n")
        opened = "open_parameters(PARAMETERS)"
        text = text.replace(opened, f"renamed({opened}, NAMES)")
    return text.replace(f"{stem}{_PYTHON_PARAMETERS}", job.target.name)


def _stored_names(wanted: Mapping[str, Array], stored: Mapping[str, Array]) -> dict[str, str]:
    """For each array that a module asks for the name of one that is stored and the same."""
    found: dict[tuple[Any, ...], list[str]] = {}

    def key(array: Array) -> tuple[Any, ...]:
        digest = hashlib.sha256(array.tobytes()).digest()
        return array.shape, str(array.dtype), digest

    for name, array in stored.items():
        found.setdefault(key(array), []).append(name)
    names = {}
    for name, array in wanted.items():
        same = found[key(array)]
        names[name] = name if name in same else same[0]
    return names


def _write_python(job: Job, folder: Path) -> None:
    from twinlens.engine.formats.python import python_module
    from twinlens.engine.params import write_safetensors
    from twinlens.engine.params.write import stored

    module = python_module(job.graph, job.spec, job.target.stem)
    target = folder / job.target.name
    target.write_text(module.text, encoding="utf-8", newline="\n")
    arrays = stored(module.arrays, half=job.half)
    write_safetensors(target.with_suffix(".safetensors"), arrays)
    if module.labels:
        _write_settings(job, folder, {"title": job.spec.title, "labels": list(module.labels)})


def _write_settings(job: Job, folder: Path, values: dict[str, Any]) -> None:
    from twinlens.models.identify.sidecar import write_values

    write_values((folder / job.target.name).with_suffix(".toml"), values)


def _settings(spec: ModelSpec) -> dict[str, Any]:
    """What goes beside bare parameters, so that they are fed and read as the model was."""
    values: dict[str, Any] = {
        "title": spec.title,
        "background_outputs": spec.background_outputs,
        "output": spec.output,
        "recipe": spec.recipe.to_dict(),
    }
    return values | ({"labels": list(spec.labels)} if spec.labels else {})


_PYTHON_PARAMETERS = ".safetensors"

_FORMS = {
    "onnx": Form((), _write_onnx),
    "dat": Form((), _write_dat),
    "safetensors": Form((".toml", ".py"), _write_safetensors),
    "npz": Form((".toml", ".py"), _write_npz),
    "python": Form((".safetensors", ".toml"), _write_python),
}


def _record(source: str, form: str, job: Job, written: list[Path]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "source": source,
        "title": job.spec.title,
        "form": form,
        "layers": len(job.graph.nodes),
        "parameters": job.graph.parameter_count,
        "half": job.half,
        "files": [{"path": str(path), "bytes": _size(path)} for path in written],
    }
    return record | ({"order": job.order.name} if form == "dat" else {})


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(inner.stat().st_size for inner in path.iterdir())
    return path.stat().st_size


def _print_record(record: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    about = f"{record['layers']} layers, {record['parameters']:,} parameters"
    order = f", kernels in {record['order']}'s order" if "order" in record else ""
    half = ", float16" if record["half"] else ""
    console.print(
        f"{record['title']} as {record['form']}: {about}{order}{half}", markup=False, soft_wrap=True
    )
    for file in record["files"]:
        size = f"{file['bytes'] / 1e6:,.2f} MB"
        console.print(f"{size:>12}  {file['path']}", markup=False, soft_wrap=True)
