"""Trained numbers by name, from whatever file they lie in, for networks that are built by hand.

`open_parameters` reads a folder of raw files, HDF5, safetensors, npz or an ONNX file's
initialisers; `with_parameters` puts them into a graph, strictly; `try_orders` finds out by golden
pictures how a file without shapes lays out its axes. `write_raw`, `write_safetensors` and
`write_npz` are the way back.

Goes in: a reader and a writer a container, names, axis orders, strict loading. Stays out: files
that say what the network is (`engine.formats`).

Readers and writers are imported when they are first asked for.
"""

from typing import TYPE_CHECKING

from twinlens.engine.late import names_of

if TYPE_CHECKING:
    from twinlens.engine.graph.arrays import renamed
    from twinlens.engine.params.load import (
        OWN,
        Naming,
        check_parameters,
        similarity,
        with_parameters,
    )
    from twinlens.engine.params.open import open_parameters
    from twinlens.engine.params.order import (
        BNNS,
        MPSCNN,
        ORDERS,
        PYTORCH,
        TENSORFLOW,
        TFLITE,
        AxisOrder,
    )
    from twinlens.engine.params.parameters import Entry, Parameters
    from twinlens.engine.params.trial import Trial, best_order, try_orders
    from twinlens.engine.params.write import arrays_of, write_npz, write_raw, write_safetensors

__all__ = [
    "BNNS",
    "MPSCNN",
    "ORDERS",
    "OWN",
    "PYTORCH",
    "TENSORFLOW",
    "TFLITE",
    "AxisOrder",
    "Entry",
    "Naming",
    "Parameters",
    "Trial",
    "arrays_of",
    "best_order",
    "check_parameters",
    "open_parameters",
    "renamed",
    "similarity",
    "try_orders",
    "with_parameters",
    "write_npz",
    "write_raw",
    "write_safetensors",
]

_HOMES = {
    "AxisOrder": "twinlens.engine.params.order",
    "BNNS": "twinlens.engine.params.order",
    "Entry": "twinlens.engine.params.parameters",
    "MPSCNN": "twinlens.engine.params.order",
    "Naming": "twinlens.engine.params.load",
    "ORDERS": "twinlens.engine.params.order",
    "OWN": "twinlens.engine.params.load",
    "PYTORCH": "twinlens.engine.params.order",
    "Parameters": "twinlens.engine.params.parameters",
    "TENSORFLOW": "twinlens.engine.params.order",
    "TFLITE": "twinlens.engine.params.order",
    "Trial": "twinlens.engine.params.trial",
    "arrays_of": "twinlens.engine.params.write",
    "best_order": "twinlens.engine.params.trial",
    "check_parameters": "twinlens.engine.params.load",
    "open_parameters": "twinlens.engine.params.open",
    "renamed": "twinlens.engine.graph.arrays",
    "similarity": "twinlens.engine.params.load",
    "try_orders": "twinlens.engine.params.trial",
    "with_parameters": "twinlens.engine.params.load",
    "write_npz": "twinlens.engine.params.write",
    "write_raw": "twinlens.engine.params.write",
    "write_safetensors": "twinlens.engine.params.write",
}

if not TYPE_CHECKING:  # for a type checker it would hide the real names
    __getattr__ = names_of(__name__, _HOMES)
