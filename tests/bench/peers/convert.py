"""Makes the files that peers read out of a network's ONNX file; each in its own process.

Run as ``python -m peers.convert NET KIND FOLDER``; what goes wrong is the last line of stderr.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from peers.nets import DEFAULT, NETS

#: How many inputs there are to calibrate with, and to compare peers on.
CALIBRATION, CHECKED = 16, 16


def model(net: str, folder: Path) -> None:
    """``model.onnx``, inputs to calibrate with and to compare on, and ``facts.json``."""
    from twinlens.engine.formats import load_onnx

    path = folder / "model.onnx"
    draw = NETS[net]
    if draw is None:
        path.write_bytes(DEFAULT.read_bytes())
    else:
        sketch, output = draw()
        sketch.save(output, path)
    graph = load_onnx(path)
    ((name, shape),) = graph.inputs.items()
    inputs = np.stack(list(_frames() if draw is None else _drawn(shape)))
    np.save(folder / "calibration.npy", inputs[:CALIBRATION])
    np.save(folder / "checked.npy", inputs[CALIBRATION:])
    facts = {
        "input": name,
        "shape": shape,
        "macs": graph.macs,
        "parameters": graph.parameter_count,
        # Random networks answer nearly the same to everything; see ``check.compare``.
        "random": draw is not None,
    }
    (folder / "facts.json").write_text(json.dumps(facts))


def _drawn(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Random pictures with large and small structure, as pictures have; mean 0, variance 1."""
    import cv2

    random = np.random.default_rng(7)
    for _ in range(CALIBRATION + CHECKED):
        total = np.zeros(shape[1:], np.float32)
        for side in (2, 5, 13, shape[2]):
            coarse = random.standard_normal((shape[1], side, side)).astype(np.float32)
            total += [cv2.resize(plane, (shape[3], shape[2])) for plane in coarse]
        yield ((total - total.mean()) / total.std())[np.newaxis]


def _frames() -> Iterator[np.ndarray]:
    """Frames of the bundled clip, as the embedded model takes them; shuffled."""
    from twinlens.assets import clip_path
    from twinlens.engine.targets.cpu.run.calibrate import tensors
    from twinlens.models.identify.resolve import EMBEDDED_MODEL, resolve

    frames = [tensor.copy() for tensor in tensors(clip_path(), resolve(EMBEDDED_MODEL).spec.recipe)]
    order = np.random.default_rng(7).permutation(len(frames))
    for position in order[: CALIBRATION + CHECKED]:
        yield frames[position]


def ranges(_net: str, folder: Path) -> None:
    """``ranges.json``: what our int8 takes."""
    from twinlens.engine.formats import load_onnx
    from twinlens.engine.graph import optimize
    from twinlens.engine.targets.cpu.run.calibrate import measure_ranges

    graph = optimize(load_onnx(folder / "model.onnx"))
    (name,) = graph.inputs
    found = measure_ranges(graph, ({name: x} for x in np.load(folder / "calibration.npy")))
    (folder / "ranges.json").write_text(json.dumps(found))


def qdq(_net: str, folder: Path) -> None:
    """``qdq.onnx``: quantised by ONNX Runtime, weights per channel."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            name = _facts(folder)["input"]
            self._left = iter([{name: x} for x in np.load(folder / "calibration.npy")])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._left, None)

    prepared = folder / "prepared.onnx"
    quant_pre_process(folder / "model.onnx", prepared, skip_symbolic_shape=True)
    quantize_static(prepared, folder / "qdq.onnx", Reader(), QuantFormat.QDQ, per_channel=True)
    prepared.unlink()


def openvino_int8(_net: str, folder: Path) -> None:
    """``int8.xml`` and ``int8.bin``: quantised by OpenVINO's own NNCF."""
    import nncf
    import openvino

    calibration = np.load(folder / "calibration.npy")
    quantised = nncf.quantize(
        openvino.Core().read_model(folder / "model.onnx"),
        nncf.Dataset(list(calibration)),
        subset_size=len(calibration),
    )
    openvino.save_model(quantised, folder / "int8.xml", compress_to_fp16=False)


def tflite(_net: str, folder: Path) -> None:
    """``model.tflite``."""
    from peers import tflite as writer
    from twinlens.engine.formats import load_onnx
    from twinlens.engine.graph import optimize

    writer.write(optimize(load_onnx(folder / "model.onnx")), folder / "model.tflite")


def tflite_int8(_net: str, folder: Path) -> None:
    """``int8.tflite``: quantised by LiteRT's own tool; floats go in and come out."""
    from ai_edge_quantizer import qtyping, quantizer, recipe

    tool = quantizer.Quantizer(str(folder / "model.tflite"), recipe.static_wi8_ai8())
    for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
        tool.update_quantization_recipe(regex=".*", operation_name=end, algorithm_key="no_quantize")
    name = _facts(folder)["input"]
    calibration = np.load(folder / "calibration.npy").transpose(0, 1, 3, 4, 2)
    found = tool.calibrate({"serving_default": [{name: x} for x in calibration]})
    tool.quantize(found).export_model(str(folder / "int8.tflite"), overwrite=True)


def ncnn(_net: str, folder: Path) -> None:
    """``model.ncnn.param`` and ``.bin``, by ncnn's own converter in fp32."""
    # The package's Python side wants PyTorch, the program in it does not.
    program = Path(sysconfig.get_paths()["platlib"]) / "pnnx" / "pnnx"
    shape = ",".join(map(str, _facts(folder)["shape"]))
    run = [str(program.with_suffix(".exe") if os.name == "nt" else program)]
    subprocess.run([*run, "model.onnx", f"inputshape=[{shape}]", "fp16=0"], cwd=folder, check=True)


def mnn(_net: str, folder: Path) -> None:
    """``model.mnn``, by MNN's own converter."""
    script = Path(sys.executable).with_name("mnnconvert")
    files = ["--modelFile", "model.onnx", "--MNNModel", "model.mnn"]
    command = [str(script), "-f", "ONNX", *files, "--bizCode", "bench"]
    subprocess.run(command, cwd=folder, check=True)


def _facts(folder: Path) -> dict:
    return json.loads((folder / "facts.json").read_text())


#: By kind: what makes it, and the file that shows that it is there.
KINDS: dict[str, tuple[Callable[[str, Path], None], str]] = {
    "model": (model, "facts.json"),
    "ranges": (ranges, "ranges.json"),
    "qdq": (qdq, "qdq.onnx"),
    "openvino_int8": (openvino_int8, "int8.bin"),
    "tflite": (tflite, "model.tflite"),
    "tflite_int8": (tflite_int8, "int8.tflite"),
    "ncnn": (ncnn, "model.ncnn.bin"),
    "mnn": (mnn, "model.mnn"),
}


def main() -> None:
    """Make one kind of file, unless it is there."""
    net, kind, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    make, shown = KINDS[kind]
    if not (folder / shown).exists():
        make(net, folder)


if __name__ == "__main__":
    main()
