"""What tools write beside the models that they export: one reader a tool.

A reader gets the text of a file and gives what it says of feeding and names, in plain values of
``Recipe``; nothing where the file is of another kind. It is a line in ``BESIDE``, by the name of
the file; what tools write into the metadata of a model is a line in ``INSIDE``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twinlens.engine.formats.described import PACKED
from twinlens.models.identify.layouts import literal, names_of_text, names_of_value, text_of

Values = dict[str, Any]

_MAX_BYTES = 4 << 20
_UNIT: Values = {"scale": 1 / 255, "mean": (0.0,), "std": (1.0,)}
_SYMMETRIC: Values = {"scale": 1 / 127.5, "mean": (1.0,), "std": (1.0,)}
_PIXELS: Values = {"scale": 1.0, "mean": (0.0,), "std": (1.0,)}
_IMAGENET: Values = {
    "scale": 1 / 255,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}


@dataclass(frozen=True)
class Export:
    """What a file says of a model.

    Attributes:
        tool: who wrote it, for display.
        source: name of the file.
        recipe: plain values of ``Recipe``, some of them; one mean and std may stand for all.
        names: names of the classes; empty where it has none.
    """

    tool: str
    source: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()


def exports_beside(path: Path) -> Iterator[Export]:
    """What files beside a model say, or in the folder around: exports have folders inside."""
    inside = path.is_dir() and path.suffix.lower() != ".mlpackage"
    folders = [path if inside else path.parent]
    if not inside and path.parent.name.lower() in INNER_FOLDERS:
        folders += [path.parent.parent, path.parent.parent / "model-parameters"]
    for folder in folders:
        for name, (tool, read) in BESIDE.items():
            text = _text(folder / name)
            if text:
                found = read(text)
                if found is not None:
                    yield Export(tool, name, *found)


def values_inside(metadata: Mapping[str, str]) -> Iterator[tuple[str, Values]]:
    """What the metadata of a model file say of feeding it: (tool, plain values)."""
    for tool, read in INSIDE:
        values = read(unpacked_metadata(metadata))
        if values:
            yield tool, values


def unpacked_metadata(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """Metadata of a model file, with those of a mapping that is packed into one of them."""
    if PACKED not in metadata:
        return metadata
    return {str(k): str(v) for k, v in _mapping(metadata[PACKED]).items()} | dict(metadata)


INNER_FOLDERS = ("onnx", "tflite-model", "tflite", "model", "saved_model")
"""Folders in which exporters put the model itself."""


def _text(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return ""
        return text_of(path.read_bytes())
    except (OSError, ValueError):
        return ""


def _mapping(text: str) -> Mapping[str, Any]:
    try:
        value = literal(text)
    except ValueError:
        return {}
    return value if isinstance(value, Mapping) else {}


# --- files beside ----------------------------------------------------------------------------

Found = tuple[Values, tuple[str, ...]] | None


def _hugging_face(text: str) -> Found:
    """``preprocessor_config.json``: rescaling, normalisation, size and crop."""
    fields = _mapping(text)
    if not {"image_mean", "do_normalize", "do_rescale", "do_resize", "size"} & set(fields):
        return None
    values: Values = {"color": "BGR" if fields.get("do_flip_channel_order") is True else "RGB"}
    # Before rescaling was an option of its own, all that was normalised was rescaled.
    scale = (
        _number(fields.get("rescale_factor"), 1 / 255) if fields.get("do_rescale", True) else 1.0
    )
    values |= {"scale": scale, "mean": (0.0,), "std": (1.0,)}
    if fields.get("do_normalize", True):
        mean, std = _row(fields.get("image_mean")), _row(fields.get("image_std"))
        if mean and std:
            values |= {"mean": mean, "std": std}
    cropped = fields.get("do_center_crop", fields.get("crop_pct") is not None)
    size = fields.get("crop_size") if cropped and fields.get("crop_size") else fields.get("size")
    values["crop_and_scale"] = "center-crop" if cropped or _edge(size) else "scale-fill"
    return values | _size(size) | _filter(fields.get("resample")), ()


def _hugging_face_model(text: str) -> Found:
    """``config.json``: id2label, or timm's ``pretrained_cfg``."""
    fields = _mapping(text)
    inner = fields.get("pretrained_cfg")
    if not isinstance(inner, Mapping) and not {"id2label", "label2id", "label_names"} & set(fields):
        return None
    values = _timm_values(inner) if isinstance(inner, Mapping) else {}
    return values, names_of_value(fields) or names_of_value(inner) or ()


def _timm_values(fields: Mapping[str, Any]) -> Values:
    mean, std = _row(fields.get("mean")), _row(fields.get("std"))
    if not mean or not std:
        return {}
    values: Values = {"color": "RGB", "scale": 1 / 255, "mean": mean, "std": std}
    shape = fields.get("input_size")
    if isinstance(shape, list | tuple) and len(shape) == 3:
        values |= _size(list(shape[1:]))
    mode = fields.get("crop_mode", "center")
    crops = {"center": "center-crop", "squash": "scale-fill", "border": "scale-fit"}
    crop = crops.get(mode, "center-crop") if isinstance(mode, str) else "center-crop"
    return values | {"crop_and_scale": crop}


def _custom_vision(text: str) -> Found:
    """``cvexport.manifest`` of Azure Custom Vision: pixels in B, G, R."""
    fields = _mapping(text)
    if "DomainType" not in fields and "ExporterVersion" not in fields:
        return None
    return _PIXELS | {"color": "BGR", "crop_and_scale": "center-crop"}, ()


def _lobe(text: str) -> Found:
    """``signature.json`` of Lobe: 0 to 1, the centre; other exporters write other signatures."""
    fields = _mapping(text)
    names = names_of_value(fields.get("classes")) or ()
    if not names and "doc_id" not in fields:
        return None
    image: Any = next(iter(_inner(fields, "inputs").values()), {})
    shape = image.get("shape") if isinstance(image, Mapping) else None
    sizes = [n for n in shape or [] if isinstance(n, int) and n > 4]
    size = _size(sizes) if len(sizes) == 2 else {}
    return _UNIT | {"color": "RGB", "crop_and_scale": "center-crop"} | size, names


def _teachable_machine(text: str) -> Found:
    """``metadata.json`` of Teachable Machine: -1 to 1, the centre."""
    fields = _mapping(text)
    if not {"tmVersion", "tfjsVersion", "packageName", "imageSize"} & set(fields):
        return None
    values = _SYMMETRIC | {"crop_and_scale": "center-crop"}
    return values | _size(fields.get("imageSize")), names_of_value(fields.get("labels")) or ()


_DEFINE = re.compile(r"^\s*#define\s+EI_CLASSIFIER_(\w+)\s+(\S+)", re.M)
_SCALINGS: dict[str, Values] = {
    "NONE": _UNIT,
    "0_1": _UNIT,
    "0_255": _PIXELS,
    "TORCH": _IMAGENET,
    "MIN1_1": _SYMMETRIC,
    "MIN128_127": {"scale": 1.0, "mean": (128.0,), "std": (1.0,)},
    "BGR_SUBTRACT_IMAGENET_MEAN": {
        "color": "BGR",
        "scale": 1.0,
        "mean": (103.939, 116.779, 123.68),
        "std": (1.0,),
    },
}
_RESIZES = {
    "FIT_SHORTEST": "center-crop",
    "FIT_LONGEST": "scale-fit",
    "SQUASH": "scale-fill",
    "1": "center-crop",
    "2": "scale-fit",
    "3": "scale-fill",
}


def _edge_impulse(text: str) -> Found:
    """``model_metadata.h`` of Edge Impulse: scaling, size and categories."""
    fields = dict(_DEFINE.findall(text))
    if not fields:
        return None
    scaling = fields.get("IMAGE_SCALING", "").removeprefix("EI_CLASSIFIER_IMAGE_SCALING_")
    values = dict(_SCALINGS.get(scaling, _UNIT))
    sides = [fields.get("INPUT_HEIGHT", ""), fields.get("INPUT_WIDTH", "")]
    values |= _size([_side(side) for side in sides])
    resize = fields.get("RESIZE_MODE", "").removeprefix("EI_CLASSIFIER_RESIZE_")
    if resize in _RESIZES:
        values["crop_and_scale"] = _RESIZES[resize]
    return values, names_of_text(text) if "categories" in text else ()


def _paddle(text: str) -> Found:
    """``inference.yml`` of Paddle: the operations in front of the network."""
    if "NormalizeImage" not in text and "label_list" not in text and "PreProcess" not in text:
        return None
    values: Values = {}
    mean, std = _yaml_row(text, "mean"), _yaml_row(text, "std")
    if mean and std:
        scale = re.search(r"\bscale:\s*['\"]?(1\.?0?/255\.?0?|[\d.eE-]+)", text)
        factor = 1 / 255 if scale is None or "/" in scale[1] else _number(scale[1], 1 / 255)
        values = {"color": "RGB", "scale": factor, "mean": mean, "std": std}
        if re.search(r"channel_first|img_mode:\s*BGR|to_rgb:\s*false", text, re.I) and re.search(
            r"img_mode:\s*BGR|to_rgb:\s*false", text, re.I
        ):
            values["color"] = "BGR"
    crop = re.search(r"CropImage:[^:]*size:\s*(\d+)", text, re.S)
    if crop:
        values |= _size(_side(crop[1])) | {"crop_and_scale": "center-crop"}
    return values, names_of_text(text) if "label_list" in text else ()


def _ultralytics_yaml(text: str) -> Found:
    """``metadata.yaml`` or ``data.yaml`` of Ultralytics."""
    if not re.search(r"^(names|task|imgsz|stride)\s*:", text, re.M):
        return None
    values = dict(_UNIT)
    sides = _yaml_row(text, "imgsz")
    if len(sides) == 2:
        values |= _size([_side(f"{side:g}") for side in sides])
    return values, names_of_text(text)


BESIDE: dict[str, tuple[str, Callable[[str], Found]]] = {
    "preprocessor_config.json": ("Hugging Face", _hugging_face),
    "config.json": ("Hugging Face", _hugging_face_model),
    "cvexport.manifest": ("Custom Vision", _custom_vision),
    "signature.json": ("Lobe", _lobe),
    "metadata.json": ("Teachable Machine", _teachable_machine),
    "model_metadata.h": ("Edge Impulse", _edge_impulse),
    "inference.yml": ("Paddle", _paddle),
    "metadata.yaml": ("Ultralytics", _ultralytics_yaml),
}
"""By the name of the file, in the order in which they count."""


# --- metadata inside -------------------------------------------------------------------------


_RANGES: dict[str, Values] = {
    "nominalrange_0_255": _PIXELS,
    "normalized_0_1": _UNIT,
    "normalized_1_1": _SYMMETRIC,
    "nominalrange_16_235": {"scale": 219 / 255, "mean": (-16.0,), "std": (1.0,)},
}


def _onnx_image(metadata: Mapping[str, str]) -> Values:
    """``Image.*``, as ONNX's MetadataProps.md has them and Windows ML reads them."""
    format = metadata.get("Image.BitmapPixelFormat", "").strip().lower()
    span = metadata.get("Image.NominalPixelRange", "").strip().lower()
    if not format and not span:
        return {}
    # Windows ML takes what is left out for B, G, R of 0 to 255.
    values = dict(_RANGES.get(span, _PIXELS))
    color = {"gray": "GRAY", "rgb": "RGB", "rgba": "RGBA", "bgr": "BGR", "bgra": "BGRA"}
    values["color"] = color.get(re.sub(r"(8|16)$", "", format), "BGR")
    return values


def _ultralytics(metadata: Mapping[str, str]) -> Values:
    """``imgsz`` with ``task`` or ``names``: 0 to 1, R, G, B, the centre."""
    if "imgsz" not in metadata or not {"task", "names", "stride"} & set(metadata):
        return {}
    values = _UNIT | {"color": "RGB", "crop_and_scale": "center-crop"}
    try:
        return values | _size(literal(metadata["imgsz"]))
    except ValueError:
        return values


def _timm(metadata: Mapping[str, str]) -> Values:
    """``pretrained_cfg`` of timm, as JSON or as Python prints it; or its values one by one."""
    for key in ("pretrained_cfg", "default_cfg", "timm"):
        if key in metadata:
            values = _timm_values(_mapping(metadata[key]))
            if values:
                return values
    fields: Values = {}
    for key in ("mean", "std", "input_size"):
        try:
            fields[key] = literal(metadata.get(key, ""))
        except ValueError:
            continue
    return _timm_values(fields)


def _preprocessor(metadata: Mapping[str, str]) -> Values:
    """``preprocessor_config`` of Hugging Face, written into the file."""
    for key in ("preprocessor_config", "preprocessor", "image_processor"):
        found = _hugging_face(metadata[key]) if key in metadata else None
        if found is not None:
            return found[0]
    return {}


INSIDE: tuple[tuple[str, Callable[[Mapping[str, str]], Values]], ...] = (
    ("ONNX image metadata", _onnx_image),
    ("Ultralytics", _ultralytics),
    ("timm", _timm),
    ("Hugging Face", _preprocessor),
)
"""In the order in which they count."""


# --- values ----------------------------------------------------------------------------------


def _number(value: Any, default: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return number if math.isfinite(number) and number else default


def _row(value: Any) -> tuple[float, ...]:
    """A row of 1, 3 or 4 finite numbers; empty where it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list | tuple) or len(value) not in (1, 3, 4):
        return ()
    try:
        row = tuple(float(part) for part in value)
    except (TypeError, ValueError, OverflowError):
        return ()
    return row if all(map(math.isfinite, row)) else ()


def _side(text: str) -> int | None:
    """A side written in digits; None where it is none, or longer than any side."""
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else None


def _edge(size: Any) -> bool:
    return isinstance(size, Mapping) and "shortest_edge" in size


def _size(size: Any) -> Values:
    """Width and height of a side, a (height, width) pair, or a mapping of sides."""
    if isinstance(size, Mapping):
        edge = size.get("shortest_edge")
        size = [size.get("height", edge), size.get("width", edge)]
    if isinstance(size, int):
        size = [size, size]
    if not isinstance(size, list | tuple) or len(size) not in (1, 2):
        return {}
    height, width = size[0], size[-1]
    if not all(type(side) is int and 0 < side <= 4096 for side in (height, width)):
        return {}
    return {"height": height, "width": width}


def _filter(resample: Any) -> Values:
    return {"interpolation": "nearest"} if resample == 0 and resample is not False else {}


def _inner(fields: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = fields.get(key)
    return value if isinstance(value, Mapping) else {}


def _yaml_row(text: str, key: str) -> tuple[float, ...]:
    """Numbers behind a key: a flow list, or lines with dashes."""
    found = re.search(rf"\b{key}:\s*(?:\[([^\]]*)\]|((?:\s*-\s*[\d.eE+-]+\s*\n)+))", text + "\n")
    if not found:
        return ()
    try:
        return tuple(
            float(n) for n in re.findall(r"[\d.eE+]+(?:-\d+)?", found[1] or found[2] or "")
        )
    except ValueError:
        return ()
