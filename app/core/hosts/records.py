"""Small records as messages carry them, there and back."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from twinlens.app.core.hosts.messages import MessageError, Record, field
from twinlens.app.core.session.engines import EngineChoice
from twinlens.engine import errors
from twinlens.engine.api.protocol import EngineOptions, RunnerInfo
from twinlens.engine.errors import SourceError, TwinlensError, UnsupportedOperatorError

_TUPLES = {"input_shape", "fallbacks"}


def info_record(info: RunnerInfo) -> Record:
    """What runs."""
    return asdict(info)


def info_of(record: Record) -> RunnerInfo:
    """What runs; raises MessageError."""
    try:
        plain: dict[str, Any] = {f.name: record[f.name] for f in fields(RunnerInfo)}
        plain |= {name: tuple(plain[name]) for name in _TUPLES}
        return RunnerInfo(**plain)
    except (KeyError, TypeError) as why:
        raise MessageError(f"what runs: {record!r}") from why


def options_record(options: EngineOptions) -> Record:
    """What is asked of an engine."""
    record = asdict(options)
    calibration = options.calibration
    return record | {"calibration": None if calibration is None else str(calibration)}


def options_of(record: Record) -> EngineOptions:
    """What is asked of an engine; raises MessageError."""
    try:
        plain: dict[str, Any] = {f.name: record[f.name] for f in fields(EngineOptions)}
    except KeyError as why:
        raise MessageError(f"options without {why}") from None
    calibration, providers = plain["calibration"], plain["providers"]
    plain["calibration"] = None if calibration is None else Path(calibration)
    plain["providers"] = None if providers is None else tuple(providers)
    return EngineOptions(**plain)


def choice_record(choice: EngineChoice) -> Record:
    """An engine as it can be chosen."""
    return asdict(choice) | {"precisions": list(choice.precisions), "missing": dict(choice.missing)}


def choice_of(record: Record) -> EngineChoice:
    """An engine as it can be chosen; raises MessageError."""
    reason = record.get("reason")
    return EngineChoice(
        field(record, "id", str),
        field(record, "title", str),
        None if reason is None else str(reason),
        tuple(field(record, "precisions", list)),
        field(record, "missing", dict),
    )


def error_record(error: TwinlensError) -> Record:
    """An error of ours, by the name of its type."""
    record: Record = {"type": type(error).__name__, "text": error.message, "hint": error.hint}
    if isinstance(error, UnsupportedOperatorError):
        record["operators"] = error.operators
    if isinstance(error, SourceError):
        record |= {"passing": error.passing, "password": error.password}
    return record


def error_of(record: Record) -> TwinlensError:
    """The error again, of the type that it had; raises MessageError."""
    kind = getattr(errors, field(record, "type", str), None)
    text, hint = field(record, "text", str), field(record, "hint", str)
    if not (isinstance(kind, type) and issubclass(kind, TwinlensError)):
        raise MessageError(f"an error of type {record['type']!r}")
    if issubclass(kind, UnsupportedOperatorError):
        return kind(text, hint=hint, operators=record.get("operators"))
    if issubclass(kind, SourceError):
        passing, password = bool(record.get("passing")), bool(record.get("password"))
        return kind(text, hint=hint, passing=passing, password=password)
    return kind(text, hint=hint)
