"""What a source of frames is; defined in the core, which plays sources without knowing them."""

from __future__ import annotations

from twinlens.app.core.session.source import Source, SourceInfo

__all__ = ["Source", "SourceInfo"]
