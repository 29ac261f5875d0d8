"""layers-gpu on this machine's GPU, beside PyTorch, ONNX Runtime and layers-cpu; prints tables.

Latency is from a float32 picture in the processor's memory to the answer there, upload and
readback included, batch 1; all contenders run the same graph with random weights. Each runs for a
while before it is timed, since a GPU that had nothing to do is slow at first.

Run by hand: ``python tests/bench/bench_gpu.py [--nets mnist,mobilenet_v2,resnet50]
[--batches 8,32] [--seconds 1.0] [--json FILE] [--adapter WORDS]``, with ``tests`` on PYTHONPATH.

One run on an NVIDIA H100 80GB HBM3 (Vulkan, driver 580.159, wgpu 0.32, PyTorch 2.11 and ONNX
Runtime 1.31 on CUDA 13, 16 cores of a virtual machine), medians in ms. PyTorch's and ONNX Runtime's
fp32 convolutions use TF32, as they do by default; their fp16, and no WGSL kernel, uses the matrix
units.

============  ==========  =====  ==============  =====  =========  =====  ========  ==========
network       layers-gpu  fp16   PyTorch, eager  fp16   CUDAgraph  fp16   ORT CUDA  layers-cpu
============  ==========  =====  ==============  =====  =========  =====  ========  ==========
MNIST         0.196       0.187  0.247           0.276  0.074      0.083  0.129     0.085
MobileNet-v2  0.500       0.501  3.235           2.049  0.422      0.442  1.502     2.169
ResNet-50     1.019       0.902  2.236           2.290  0.709      0.624  1.371     18.1
============  ==========  =====  ==============  =====  =========  =====  ========  ==========

A busier machine gave 0.33, 0.68 and 1.17 to layers-gpu in fp32, 0.24, 1.83 and 2.40 to ORT.

Pictures per second, three batches under way; the others one after the other:

=================  ==========  ======  ==================  ======  =========
network, batch     layers-gpu  fp16    PyTorch, CUDAgraph  fp16    ORT CUDA
=================  ==========  ======  ==================  ======  =========
MNIST, 8           51210       45364   87340               88997   40542
MNIST, 32          227026      169187  262715              302015  230140
MobileNet-v2, 1    2581        2295    not measured
MobileNet-v2, 8    10771       10301   8955                9957    4330
MobileNet-v2, 32   15975       18167   12641               17786   5863
ResNet-50, 1       1246        1411    not measured
ResNet-50, 8       3439        4138    4783                6925    3077
ResNet-50, 32      4679        5654    6325                10261   3931
=================  ==========  ======  ==================  ======  =========

A plain product of 4096³ reaches 43.6 TFLOP/s in fp32 (65 % of the card's 67) and 46.2 in fp16 (34 %
of 134; why no more was not found out). ResNet-50's dense layers reach 82 % and 93 % of that at
batch 32 (the 3×3 ones up to 148 %, by Winograd's tiles), and 17 % at batch 1, where 58 kernels take
0.8 ms, of which the barriers between them 2.3 µs each. The time stamps that tell kernels apart make
each some 5 µs longer. Each layer is within 1.3e-6 (fp32) and 4.3e-3 (fp16) of float64, relative to
its largest value. Cooperative matrices cannot be had (see ``adapters.open_device``).
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import numpy as np

from helpers import big_nets
from helpers.peers_cuda import onnxruntime_cuda, torch_runners
from twinlens.engine.errors import TwinlensError
from twinlens.engine.graph import optimize
from twinlens.engine.image import Converter, PixelBuffer, Recipe
from twinlens.engine.targets.gpu.codegen.tensor import Tensor
from twinlens.engine.targets.gpu.kernels.base import Target
from twinlens.engine.targets.gpu.kernels.product import Product
from twinlens.engine.targets.gpu.kernels.tiles import Tile
from twinlens.engine.targets.gpu.run import adapters
from twinlens.engine.targets.gpu.run.device import Device
from twinlens.engine.targets.gpu.run.program import Options, Program
from twinlens.engine.targets.gpu.run.runner import GpuRunner
from twinlens.engine.targets.gpu.run.tune import times_ms

# Plain arithmetic of the card, TFLOP/s, by the vendor's datasheet (SXM).
PEAKS = {"H100 80GB HBM3": (67.0, 134.0), "H200": (67.0, 134.0)}
LARGE = (
    Tile(64, 64, 16, 4, 4),
    Tile(64, 64, 16, 8, 8),
    Tile(128, 64, 16, 8, 8),
    Tile(128, 128, 16, 8, 8),
    Tile(128, 128, 32, 8, 8),
)


def timed(run, seconds):
    """Median and 95th percentile in ms, after as long a warm-up."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        run()
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 5:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return median(times), float(np.percentile(times, 95))


def picture(graph):
    (shape,) = graph.inputs.values()
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def program(graph, adapter, precision, tune_s=20.0, **options):
    return Program(graph, adapter, Options(precision, tune_s=tune_s, **options))


def in_flight(ready, x, seconds):
    """Frames per second with three under way, after as long a warm-up."""
    tickets, count, start = [], 0, 0.0
    begin = time.perf_counter()
    while True:
        tickets.append(ready.submit({"input": x}))
        if len(tickets) == ready.options.frames:
            ready.answer(tickets.pop(0))
            count += 1
        now = time.perf_counter()
        if not start and now - begin > seconds:
            start, count = now, 0
        if start and now - start > seconds:
            break
    rate = count / (now - start)
    for ticket in tickets:
        ready.answer(ticket)
    return rate


def best_layers(ready, x, runs=30):
    """Timings of the frame that took the GPU least."""
    found = []
    for _ in range(runs):
        ticket = ready.submit({"input": x}, timed=True)
        ready.answer(ticket)
        found.append(ticket.timings)
    return min(found, key=lambda timings: timings.compute_ms)


def latency(name, adapter, seconds, record):
    graph = optimize(getattr(big_nets, name)())
    x = picture(graph)
    rows, programs = {}, []
    for precision in ("fp32", "fp16") if adapter[0].half else ("fp32",):
        begin = time.perf_counter()
        ready = program(graph, adapter, precision)
        print(f"  {name} {precision}: loaded in {time.perf_counter() - begin:.1f} s")
        programs.append(ready)
        rows[f"layers-gpu {precision}"] = lambda ready=ready: ready.run({"input": x})
    rows |= torch_runners(graph, x)
    rows |= onnxruntime_cuda(graph, x)
    rows |= cpu_runner(graph, x)
    for title, run in rows.items():
        if isinstance(run, str):
            print(f"  {name:13} {title:28} {run}")
            continue
        p50, p95 = timed(run, seconds)
        record[f"{name} {title}"] = [p50, p95]
        print(f"  {name:13} {title:28} {p50:8.3f} ms  p95 {p95:8.3f}", flush=True)
    for ready in programs:
        rate = in_flight(ready, x, seconds)
        record[f"{name} in flight {ready.options.precision}"] = rate
        print(f"  {name:13} in flight {ready.options.precision:18} {rate:8.0f} pictures/s")
        ready.close()


def frames(name, adapter, seconds, record):
    """A 1280×720 picture to the answer, converted on the processor first."""
    graph = optimize(getattr(big_nets, name)())
    ((_, _, height, width),) = graph.inputs.values()
    recipe = Recipe(width, height)
    pixels = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    buffer, converter = PixelBuffer.from_array(pixels), Converter(recipe)
    options = Options(tune_s=20.0)
    ready = GpuRunner(graph, recipe.input_shape, adapter, options=options)
    p50, p95 = timed(lambda: ready.run(converter.convert(buffer)), seconds)
    record[f"{name} picture converted before"] = [p50, p95]
    print(f"  {name:13} picture converted before     {p50:8.3f} ms  p95 {p95:8.3f}", flush=True)
    ready.close()


def cpu_runner(graph, x):
    try:
        from twinlens.engine.targets.cpu.run.program import Options as CpuOptions
        from twinlens.engine.targets.cpu.run.program import Program as CpuProgram
    except ImportError as why:
        return {"layers-cpu": f"not here: {why}"}
    ready = CpuProgram(graph, CpuOptions(threads=4, use_cache=False))
    return {"layers-cpu fp32, 4 threads": lambda: ready.run({"input": x})}


def throughput(name, batch, adapter, seconds, record):
    graph = optimize(getattr(big_nets, name)(batch))
    x = picture(graph)
    for precision in ("fp32", "fp16") if adapter[0].half else ("fp32",):
        ready = program(graph, adapter, precision)
        rate = in_flight(ready, x, seconds) * batch
        record[f"{name} batch {batch} {precision}"] = rate
        print(
            f"  {name:13} ×{batch:<3} layers-gpu {precision:18} {rate:8.0f} pictures/s", flush=True
        )
        ready.close()
    for title, run in (torch_runners(graph, x) | onnxruntime_cuda(graph, x)).items():
        if isinstance(run, str):
            continue
        p50, _ = timed(run, seconds)
        record[f"{name} batch {batch} {title}"] = batch / p50 * 1e3
        print(f"  {name:13} ×{batch:<3} {title:29} {batch / p50 * 1e3:8.0f} pictures/s", flush=True)


def ceiling(adapter, record):
    """The best plain product of 4096³ (64³ in software) by precision, TFLOP/s."""
    side = 8 if adapter[0].software else 64
    size, best = side * side, {}
    for dtype, kind in (("f32", np.float32), ("f16", np.float16)):
        if dtype == "f16" and not adapter[0].half:
            continue
        device = Device(*adapter)
        target = Target(dtype, shared_bytes=adapter[0].shared_bytes)
        source, result = (Tensor.new(1, side, side, size, dtype) for _ in range(2))
        device.place([[source.buffer], [result.buffer]])
        random = np.random.default_rng(0)
        device.write(
            device.memory(source.buffer), random.standard_normal((size, size)).astype(kind)
        )
        weight = random.standard_normal((size, 1, 1, size)).astype(np.float32)
        calls = {
            tile: device.call(Product(source, result, weight, np.zeros(size), tile=tile), target)
            for tile in LARGE
            if tile.bytes(np.dtype(kind).itemsize) <= target.shared_bytes
        }
        rounds = [times_ms(device, list(calls.values())) for _ in range(12)]
        times = dict(zip(calls, np.median(rounds[4:], axis=0), strict=True))
        tile = min(times, key=lambda tile: times[tile])
        best[dtype] = 2 * size**3 / times[tile] * 1e-9
        peaks = [p for name, p in PEAKS.items() if name in adapter[0].name]
        share = f", {best[dtype] / peaks[0][dtype == 'f16']:.0%} of the card's" if peaks else ""
        print(f"  {dtype} {size}³: {best[dtype]:.1f} TFLOP/s with {tile.text()}{share}")
        record[f"gemm {dtype}"] = best[dtype]
        device.close()
    return best


def whereabouts(name, batch, precision, adapter, ceilings, record):
    """Where a frame's time goes, and what the dense convolutions reach."""
    graph = optimize(getattr(big_nets, name)(batch))
    ready = program(graph, adapter, precision)
    x = picture(graph)
    for _ in range(50):
        ready.run({"input": x})
    found = best_layers(ready, x)
    groups = defaultdict(lambda: [0, 0.0])
    for layer in found.layers:
        kind = layer.kernel.split(" (")[0].rstrip("0123456789×").strip()
        groups[kind][0] += 1
        groups[kind][1] += layer.ms
    moved = ", ".join(
        f"{title} {ms:.3f} ms"
        for title, ms in (("upload", found.upload_ms), ("readback", found.readback_ms))
        if ms is not None
    )
    print(f"  {name} ×{batch} {precision}: kernels {found.compute_ms:.3f} ms, {moved}")
    for kind, (count, ms) in sorted(groups.items(), key=lambda item: -item[1][1]):
        print(f"    {count:3} {kind:28} {ms:8.3f} ms {ms / found.compute_ms:5.0%}")
    macs = dict(products(graph))
    dense = defaultdict(float)
    for layer in found.layers:
        if layer.nodes and layer.nodes[0] in macs:
            dense[layer.nodes[0]] += layer.ms
    top = ceilings.get("f16" if precision == "fp16" else "f32")
    shown = sorted(dense, key=lambda node: -macs[node])[:6]
    for node in shown:
        rate = 2 * macs[node] / dense[node] * 1e-9
        share = f" = {rate / top:.0%} of the plain product" if top else ""
        print(f"    {node:12} {macs[node] / 1e6:7.0f} MMACs {rate:6.1f} TFLOP/s{share}")
    total = 2e-9 * sum(macs[node] for node in dense) / sum(dense.values())
    print(f"    all dense layers: {total:.1f} TFLOP/s" + (f" = {total / top:.0%}" if top else ""))
    record[f"{name} ×{batch} {precision} layers"] = [
        (layer.nodes, layer.kernel, layer.ms) for layer in found.layers
    ]
    ready.close()


def products(graph):
    """(node, multiply-adds) of convolutions that are not depthwise, and linear layers."""
    for node in graph.nodes:
        weight = node.layer.parameters.get("weight")
        if weight is not None and getattr(node.layer, "groups", 1) == 1:
            yield node.name, graph.node_macs(node)


def errors(name, adapter, record):
    """Each layer on what the GPU gave it, against float64, relative to its largest value.

    Layer by layer, since networks with random weights blow up what comes in: through all of this
    MobileNet-v2, rounding of 6e-8 becomes 3e-5.
    """
    graph = optimize(getattr(big_nets, name)())
    x = picture(graph)
    for precision in ("fp32", "fp16") if adapter[0].half else ("fp32",):
        ready = program(graph, adapter, precision, tune_s=0.0, share=False)
        ready.run({"input": x})
        held = dict(ready.values())
        ready.close()
        values = {"input": held.get("input", x).astype(np.float64)}
        found = {}
        for node in graph.nodes:
            expected = node.forward(*(values[key] for key in node.inputs))
            got = held.get(node.output)
            if got is not None:
                off = float(np.abs(got - expected).max())
                found[node.name] = off / float(np.abs(expected).max())
            values[node.output] = expected if got is None else got.astype(np.float64)
        worst = max(found, key=lambda key: found[key])
        record[f"{name} {precision} error"] = found[worst]
        print(f"  {name:13} {precision}: {found[worst]:.1e} at {worst}, {len(found)} layers")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nets", default="mnist,mobilenet_v2,resnet50")
    parser.add_argument("--batches", default="8,32")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--adapter")
    args = parser.parse_args()
    adapter = adapters.choose(args.adapter)
    record = {"adapter": adapter[0].title, "driver": adapter[0].driver}
    print(f"{adapter[0].title}, driver {adapter[0].driver}")
    nets = args.nets.split(",")

    def section(title, work, *more):
        print(title, flush=True)
        try:
            return work(*more)
        except (TwinlensError, RuntimeError) as why:
            print(f"  failed: {why}")
            return None
        finally:
            if args.json:
                args.json.write_text(json.dumps(record, indent=1), encoding="utf-8")

    for name in nets:
        section(f"Error, {name}", errors, name, adapter, record)
    for name in nets:
        section(f"Latency, {name}", latency, name, adapter, args.seconds, record)
    for name in nets:
        if name != "mnist":  # grey
            section(f"Pictures, {name}", frames, name, adapter, args.seconds, record)
    ceilings = section("Plain products", ceiling, adapter, record) or {}
    for name in nets[-1:]:
        for batch in [1, *map(int, args.batches.split(","))][:: len(args.batches.split(","))]:
            for precision in ("fp32", "fp16") if adapter[0].half else ("fp32",):
                section(
                    f"Where time goes, {name}",
                    whereabouts,
                    name,
                    batch,
                    precision,
                    adapter,
                    ceilings,
                    record,
                )
    for name in nets:
        for batch in map(int, args.batches.split(",")):
            section(f"Throughput, {name}", throughput, name, batch, adapter, args.seconds, record)


if __name__ == "__main__":
    main()
