"""Video of high dynamic range on a screen that has none: one tone map for PQ and HLG.

Light is computed in multiples of the white of ordinary video, which HDR video shows at 203 cd/m²
(ITU-R BT.2408-7), so that what is not brighter than paper looks as it does elsewhere; what is
brighter is compressed into the upper end. Transfer functions are those of ITU-R BT.2100-2, table 4
and 5; the matrix from BT.2020's primaries to BT.709's is that of BT.2087-0.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_WHITE_NITS = 203.0
_PEAK_NITS = 1000.0
# Up to this share of white nothing is changed; above, the peak comes to lie at white.
_KNEE = 0.75
_STEPS = 4096
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)


class ToneMap:
    """Maps pictures of one transfer function.

    Args:
        hlg: hybrid log-gamma; otherwise the perceptual quantiser (PQ).
    """

    def __init__(self, *, hlg: bool) -> None:
        self.hlg = hlg
        signal = np.arange(_STEPS, dtype=np.float64) / (_STEPS - 1)
        nits = hlg_nits(signal) if hlg else pq_nits(signal)
        self._light = (nits / _WHITE_NITS).astype(np.float32)
        # The way back, in steps of the square root, which are fine where the eye is.
        root = np.arange(_STEPS, dtype=np.float64) / (_STEPS - 1)
        light = root**2 * (_PEAK_NITS / _WHITE_NITS)
        self._shown = np.round(255 * bt709_signal(compressed(light))).astype(np.uint8)

    def to_bgr(self, pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Map (height, width, 3) R, G, B of the full 16 bits, BT.2020; returns B, G, R of 8."""
        light = self._light[pixels >> 4]
        light = cv2.transform(light, _TO_BT709)
        scale = _WHITE_NITS / _PEAK_NITS
        root = np.sqrt(np.clip(light * np.float32(scale), 0, 1))
        step = (root * np.float32(_STEPS - 1) + np.float32(0.5)).astype(np.uint16)
        return np.ascontiguousarray(self._shown[step][..., ::-1])


def pq_nits(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m² of a PQ signal in [0, 1] (BT.2100-2, table 4)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = signal ** (1 / m2)
    light: NDArray[np.float64] = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return 10_000 * light


def hlg_nits(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m² of a grey HLG signal in [0, 1] on a screen of 1,000 cd/m² (table 5).

    The screen's gamma of 1.2 is applied to each colour by itself, which for saturated colours is
    an approximation.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return _PEAK_NITS * scene**1.2


def compressed(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in multiples of white, brought into [0, 1]; a smooth curve, straight at first."""
    peak = _PEAK_NITS / _WHITE_NITS
    room, over = 1 - _KNEE, np.maximum(light - _KNEE, 0)
    # r(x) = x·(1 + x/p²)/(1 + x), Reinhard's, reaches 1 at p; slope 1 where it begins.
    x, p = over / room, (peak - _KNEE) / room
    return np.where(light <= _KNEE, light, _KNEE + room * x * (1 + x / p**2) / (1 + x))


def bt709_signal(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signal in [0, 1] of light in [0, 1]: the inverse of a screen's gamma of 2.4 (BT.1886)."""
    return np.clip(light, 0, 1) ** (1 / 2.4)
