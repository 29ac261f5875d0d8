"""Words and figures as views write them; pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from twinlens.engine.api.observations import ClassificationObservation

# U+2007 is as wide as a digit where figures are tabular, so that numbers do not jitter.
FIGURE_SPACE = "\u2007"


def short_label(identifier: str) -> str:
    """The first of several comma-separated names of one class (``"tench, Tinca tinca"``)."""
    return identifier.split(",", maxsplit=1)[0].strip() or identifier


_LONGEST_NAME = 40


def short_name(name: str) -> str:
    """A name out of a file, with the middle left out where it is long."""
    if len(name) <= _LONGEST_NAME:
        return name
    half = (_LONGEST_NAME - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


NONE_HOLDS = "none of these"
_MOST_NAMES = 3


def holding_text(holding: Sequence[ClassificationObservation]) -> str:
    """Independent classes that hold, in a few words (``"red · blue · 2 more"``)."""
    if not holding:
        return NONE_HOLDS
    names = [short_label(one.identifier) for one in holding[:_MOST_NAMES]]
    more = len(holding) - len(names)
    return " · ".join([*names, f"{more} more"] if more else names)


# The folders that lead to a file: from a drive or a root on, at a word's beginning.
_FOLDERS = re.compile(
    r"(?:^|(?<=['\"(]))(?:[A-Za-z]:)?[\\/](?:[^\\/\s:'\"]+[\\/])*(?=[^\\/\s:'\"])"
)


def headline(text: str) -> str:
    """A message for the stage: files by their names, without the folders that lead to them."""
    return " ".join(word if "://" in word else _FOLDERS.sub("", word) for word in text.split(" "))


def percent(share: float) -> str:
    """A share in [0, 1] as whole percent, always as wide (``" 97 %"``); 100 only when it is."""
    whole = 100 if share >= 1 else min(99, round(share * 100))
    return f"{fixed(whole, 3, 0)} %"


def fixed(value: float, width: int, decimals: int) -> str:
    """A number padded with figure spaces to a fixed width."""
    return f"{value:.{decimals}f}".rjust(width, FIGURE_SPACE)
