"""How each peer runs a network: a function per library that gives a callable.

The callable takes a float32 array (1, C, H, W) and gives the answer as a NumPy array: what a
user of the library calls for every picture, its Python included.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Peer:
    """One library in one precision.

    Attributes:
        title: shown in tables.
        library: the group of packages that has it, see ``environment.PACKAGES``; "" is ours.
        precision: ``"fp32"``, ``"bf16"`` or ``"int8"``.
        files: kinds of ``convert.KINDS`` that it reads, in order.
        load: (folder with the files, threads) to callable.
    """

    title: str
    library: str
    precision: str
    files: tuple[str, ...]
    load: Callable[[Path, int], Run]


def ours(precision: str) -> Callable[[Path, int], Run]:
    """Our compiled layers."""

    def load(folder: Path, threads: int) -> Run:
        from twinlens.engine.formats import load_onnx
        from twinlens.engine.graph import optimize
        from twinlens.engine.targets.cpu.run.program import Options, Program

        ranges = None
        if precision == "int8":
            found = json.loads((folder / "ranges.json").read_text())
            ranges = {name: (low, high) for name, (low, high) in found.items()}
        graph = optimize(load_onnx(folder / "model.onnx"))
        program = Program(graph, Options(precision=precision, threads=threads, ranges=ranges))
        (given,), (taken,) = graph.inputs, graph.outputs
        if program.fallbacks:
            raise RuntimeError(f"layers without a kernel: {', '.join(program.fallbacks)}")
        return lambda x: program.run({given: x})[taken]

    return load


def onnxruntime(file: str) -> Callable[[Path, int], Run]:
    """All graph optimisations; threads spin between the parts of a run."""

    def load(folder: Path, threads: int) -> Run:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        session = ort.InferenceSession(
            str(folder / file), options, providers=["CPUExecutionProvider"]
        )
        (given,) = session.get_inputs()
        return lambda x: session.run(None, {given.name: x})[0]

    return load


def openvino(file: str, precision: str) -> Callable[[Path, int], Run]:
    """One stream, tuned for latency; one request that is used again."""

    def load(folder: Path, threads: int) -> Run:
        import openvino as ov

        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": precision,
        }
        core = ov.Core()
        if precision == "bf16" and "BF16" not in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise RuntimeError("OpenVINO finds no bf16 on this processor")
        request = core.compile_model(folder / file, "CPU", settings).create_infer_request()

        def run(x: np.ndarray) -> np.ndarray:
            request.set_input_tensor(ov.Tensor(x, shared_memory=True))
            request.infer()
            return request.get_output_tensor(0).data.copy()

        return run

    return load


def litert(file: str) -> Callable[[Path, int], Run]:
    """LiteRT with XNNPACK, its default."""

    def load(folder: Path, threads: int) -> Run:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(folder / file), num_threads=threads)
        interpreter.allocate_tensors()
        (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()
        last: list[np.ndarray] = [np.empty(0), np.empty(0)]

        def run(x: np.ndarray) -> np.ndarray:
            # A user's picture is NHWC to begin with, so that its turning is not timed.
            if x is not last[0]:
                last[:] = x, np.ascontiguousarray(x.transpose(0, 2, 3, 1))
            interpreter.set_tensor(given["index"], last[1])
            interpreter.invoke()
            return interpreter.get_tensor(taken["index"])

        return run

    return load


def ncnn(folder: Path, threads: int) -> Run:
    """ncnn in fp32: what it would shorten to 16 bits is switched off."""
    import ncnn as library

    net = library.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{name}", False)
    if net.load_param(str(folder / "model.ncnn.param")):
        raise RuntimeError("ncnn cannot read model.ncnn.param")
    if net.load_model(str(folder / "model.ncnn.bin")):
        raise RuntimeError("ncnn cannot read model.ncnn.bin")

    def run(x: np.ndarray) -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input("in0", library.Mat(x[0]))
        return np.array(extractor.extract("out0")[1])

    return run


def mnn(folder: Path, threads: int) -> Run:
    """MNN in fp32 (its "high")."""
    import MNN as library  # noqa: N811

    interpreter = library.Interpreter(str(folder / "model.mnn"))
    session = interpreter.createSession(
        {"numThread": threads, "backend": "CPU", "precision": "high"}
    )
    given, taken = interpreter.getSessionInput(session), interpreter.getSessionOutput(session)
    layout, kind = library.Tensor_DimensionType_Caffe, library.Halide_Type_Float
    shape = tuple(taken.getShape())
    answer = library.Tensor(shape, kind, np.zeros(shape, np.float32), layout)

    def run(x: np.ndarray) -> np.ndarray:
        given.copyFrom(library.Tensor(x.shape, kind, x, layout))
        interpreter.runSession(session)
        taken.copyToHostTensor(answer)
        return np.array(answer.getNumpyData())

    return run


def opencv(engine: str) -> Callable[[Path, int], Run]:
    """OpenCV's dnn module, with one of its two engines."""

    def load(folder: Path, threads: int) -> Run:
        import cv2

        cv2.setNumThreads(threads)
        path = str(folder / "model.onnx")
        net = cv2.dnn.readNetFromONNX(path, engine=getattr(cv2.dnn, f"ENGINE_{engine}"))
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)

        def run(x: np.ndarray) -> np.ndarray:
            net.setInput(x)
            return net.forward()

        return run

    return load


#: All that is measured, by id; the first is what ratios refer to.
PEERS: dict[str, Peer] = {
    "ort": Peer("ONNX Runtime", "onnxruntime", "fp32", (), onnxruntime("model.onnx")),
    "openvino": Peer("OpenVINO", "openvino", "fp32", (), openvino("model.onnx", "f32")),
    "litert": Peer("LiteRT", "litert", "fp32", ("tflite",), litert("model.tflite")),
    "ncnn": Peer("ncnn", "ncnn", "fp32", ("ncnn",), ncnn),
    "mnn": Peer("MNN", "mnn", "fp32", ("mnn",), mnn),
    "opencv": Peer("OpenCV", "opencv", "fp32", (), opencv("NEW")),
    "opencv-classic": Peer("OpenCV classic", "opencv", "fp32", (), opencv("CLASSIC")),
    "ours": Peer("layers-cpu", "", "fp32", (), ours("fp32")),
    "openvino-bf16": Peer("OpenVINO", "openvino", "bf16", (), openvino("model.onnx", "bf16")),
    "ours-bf16": Peer("layers-cpu", "", "bf16", (), ours("bf16")),
    "ort-int8": Peer("ONNX Runtime", "onnxruntime", "int8", ("qdq",), onnxruntime("qdq.onnx")),
    "openvino-int8": Peer(
        "OpenVINO", "openvino", "int8", ("openvino_int8",), openvino("int8.xml", "f32")
    ),
    "litert-int8": Peer(
        "LiteRT", "litert", "int8", ("tflite", "tflite_int8"), litert("int8.tflite")
    ),
    "ours-int8": Peer("layers-cpu", "", "int8", ("ranges",), ours("int8")),
}
