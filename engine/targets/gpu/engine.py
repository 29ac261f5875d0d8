"""The engine that runs a graph of layers on a GPU."""

from __future__ import annotations

from collections.abc import Mapping

from twinlens.engine.api.protocol import EngineOptions, Network, Runner
from twinlens.engine.errors import EngineError, EngineUnavailableError, TwinlensError
from twinlens.engine.graph import one_picture, optimize
from twinlens.engine.targets.gpu.run.adapters import TITLE, choose, list_adapters, without_wgpu
from twinlens.engine.targets.quantized import without_pairs

ID = "layers-gpu"
PRECISIONS = ("fp32", "fp16")


class LayersGpuEngine:
    """Layers on the GPU, through WebGPU (wgpu): Metal, Vulkan or D3D12.

    The kernels are written for the network's shapes when it is loaded, and the tiles of matrix
    products are tried out on the adapter then.
    """

    id = ID
    title = TITLE

    def available(self) -> str | None:
        """None where there is wgpu and an adapter, otherwise what is missing."""
        reason = without_wgpu()
        if reason:
            return reason
        try:
            found = list_adapters()
        except TwinlensError as why:
            return why.message
        return None if found else "no GPU adapter was found (no driver, or none for Vulkan)"

    def precisions(self) -> tuple[str, ...]:
        """fp32, and fp16 where the best adapter has it."""
        if self.available() is not None:
            return ("fp32",)
        return PRECISIONS if list_adapters()[0].half else ("fp32",)

    def missing_precisions(self) -> Mapping[str, str]:
        """fp16, where the best adapter does not have it."""
        if self.available() is not None or list_adapters()[0].half:
            return {}
        return {"fp16": f"{list_adapters()[0].title} has no shader-f16"}

    def load(self, network: Network, options: EngineOptions) -> Runner:
        """Optimise and compile a network.

        Raises:
            ModelError: it cannot be read, needs what we lack, or does not fit its recipe.
            EngineError: no such adapter, or a precision that it does not have.
            EngineUnavailableError: there is no wgpu, or no adapter.
        """
        reason = self.available()
        if reason:
            raise EngineUnavailableError(f"{self.title} is not available: {reason}")
        if options.precision not in PRECISIONS:
            raise EngineError(
                f"{self.title} computes in {', '.join(PRECISIONS)}, not in {options.precision!r}"
            )
        adapter = choose(options.adapter)
        if options.precision == "fp16" and not adapter[0].half:
            raise EngineError(
                f"{self.title}: {adapter[0].title} does not compute in fp16 (no shader-f16)",
                hint="fp32 runs everywhere.",
            )
        from twinlens.engine.targets.gpu.run.runner import GpuRunner

        expected = network.spec.recipe.input_shape
        graph = optimize(one_picture(network.graph).graph)
        return GpuRunner(without_pairs(graph)[0], expected, adapter, options.precision)
