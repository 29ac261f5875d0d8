"""Every error that Twinlens raises on purpose.

TwinlensError                     what a person is shown; ``hint`` says what to do
├── ImageError                    a picture or pixel buffer cannot be read or converted
├── ModelError                    a model cannot be used
│   ├── ModelFileError            missing, truncated, too large, or not a model at all
│   ├── UnsupportedOperatorError  an operator that we do not implement; names it and its node
│   ├── ShapeError                shapes that do not fit each other
│   ├── ParameterError            parameters missing, extra or of the wrong size
│   ├── LabelError                labels that do not match the outputs
│   ├── DistrustedError           it ended an engine's process earlier; a person is asked first
│   └── DownloadError             a model cannot be fetched, or is not what was asked for
│       └── DownloadCancelledError   a person stopped it; what has arrived is kept
├── EngineError                   an engine cannot do its work
│   ├── EngineUnavailableError    the engine does not exist here; says why
│   └── InferenceError            the engine failed while it ran
│       └── EngineStoppedError    the process that it ran in ended, hung or took too much memory
├── SourceError                   a camera, file, stream or screen fails (raised by the app)
└── CancelledError                nobody waits for the work any more; never shown to a person
"""

from __future__ import annotations

from collections.abc import Mapping


class TwinlensError(Exception):
    """Base of all errors that are shown to a person.

    Args:
        message: what happened, naming the file or value received and what was expected.
        hint: what the person can do about it; may be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ImageError(TwinlensError):
    """A picture or pixel buffer cannot be read or converted."""


class ModelError(TwinlensError):
    """A model cannot be used."""


class ModelFileError(ModelError):
    """A model file is missing, truncated, too large, or not a model at all."""


class UnsupportedOperatorError(ModelError):
    """The model uses an operator that Twinlens does not implement.

    Args:
        message: what happened.
        hint: what to do.
        operators: which operators are missing, and how often each stands in the model, where
            that is known.
    """

    def __init__(
        self, message: str, *, hint: str = "", operators: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.operators: dict[str, int] = dict(operators or {})


class ShapeError(ModelError):
    """Shapes that do not fit each other."""


class ParameterError(ModelError):
    """Parameters are missing, extra or of the wrong size."""


class LabelError(ModelError):
    """Labels do not match the model's outputs."""


class DistrustedError(ModelError):
    """The model ended the process of an engine earlier; a person is asked before it runs again."""


class DownloadError(ModelError):
    """A model cannot be fetched, or what came is not what was asked for."""


class DownloadCancelledError(DownloadError):
    """A person stopped a download; what has arrived is kept and the next one goes on from it."""


class EngineError(TwinlensError):
    """An engine cannot do its work."""


class EngineUnavailableError(EngineError):
    """The engine does not exist on this machine."""


class InferenceError(EngineError):
    """The engine failed while it ran."""


class EngineStoppedError(InferenceError):
    """The process that an engine ran in ended, hung, or took more memory than it may."""


class SourceError(TwinlensError):
    """A camera, file, stream or screen does not deliver frames.

    Args:
        message: what happened.
        hint: what to do.
        passing: it may pass by itself (unplugged, busy, a network that is down), so that trying
            again is worth while; a wrong address or a missing right does not.
        password: a user and password are wanted, or others.
    """

    def __init__(
        self, message: str, *, hint: str = "", passing: bool = False, password: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.passing, self.password = passing, password


class CancelledError(TwinlensError):
    """The work was stopped because nobody waits for it any more; see ``engine.cancel``.

    No fault, and never shown: whoever cancelled knows.
    """
