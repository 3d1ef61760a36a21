# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A narrow radio that is not there: it receives a wide recording, and has the faults of a dongle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .errors import AtaError
from .recordings import open_recording
from .stream import Frame, FrameStream

LONGEST = 1 << 25  # samples of the recording that are played, over and over
PASSED, STOP_DB = 0.42, 20.0  # cycles per sample up to which the radio's filter passes all, and dB that it takes at 0.5
LINE_DB = 15.0  # its DC line, over the noise in a 256th of its band
SETTLE = 0.005  # s after a retune in which the old frequency still comes
CHUNK = 1 << 16  # samples


class SimRadio:
    """A `Tuner` on a recording, which is played over and over.

    Args:
        path: of a recording that is wider than the radio.
        stream: makes the frames; its rate is the radio's.

    AtaError for a recording that cannot be read, is not wide enough, or does not last for a sample of the radio.
    """

    def __init__(self, path: str, stream: FrameStream) -> None:
        recording = open_recording(path)
        rate = stream.samp_rate
        if rate > recording.samp_rate:
            raise AtaError(f"{path} has {recording.samp_rate / 1e6:g} MS/s: no radio of {rate / 1e6:g} MS/s fits in it")
        self._stream = stream
        self._center = recording.center_freq
        taken = min(recording.captures[0].count, LONGEST)
        self._duration = taken / recording.samp_rate
        self._turn = round(self._duration * rate)  # samples of the radio in one turn of the recording
        if not self._turn:
            raise AtaError(f"{path} is too short: its {taken} samples are less than one of a radio of {rate / 1e6:g} MS/s")
        # The whole recording's spectrum: a cut of it, brought back to time, is what a narrow receiver hears, and it
        # goes round without a seam.
        self._spectrum = np.fft.fftshift(np.fft.fft(recording.read(0, taken)) / taken).astype(np.complex64)
        away = np.abs(np.arange(self._turn) / self._turn - 0.5)
        fall = -STOP_DB * np.clip((away - PASSED) / (0.5 - PASSED), 0, 1) ** 2
        self._filter = (10 ** (fall / 20)).astype(np.float32)
        quiet = float(np.percentile(np.abs(self._spectrum) ** 2, 20)) / -np.log(0.8)  # mean power of a line of noise
        self._line = np.float32(np.sqrt(quiet * self._turn / 256 * 10 ** (LINE_DB / 10)))
        self._clock = 0  # samples since it was switched on
        self._heard = np.zeros(self._turn, np.complex64)

    def capture(self, center_freq: float) -> Frame:
        """See `Tuner`."""
        lines = round((center_freq - self._center) * self._duration)  # the recording's spectrum has 1 / duration Hz a line
        if abs(lines) > len(self._spectrum) / 2:
            raise AtaError(f"the simulated radio cannot be tuned to {center_freq / 1e6:g} MHz: its recording ends before")
        if self._stream.retune(self._center + lines / self._duration):
            before, self._heard = self._heard, self._receive(lines)
            list(self._play(before, round(SETTLE * self._stream.samp_rate)))  # a frame of it has no business here
        while True:
            for frame in self._play(self._heard, CHUNK):
                return frame

    def _play(self, heard: np.ndarray, count: int) -> Iterator[Frame]:
        at, self._clock = self._clock, self._clock + count
        return self._stream.push(heard[np.arange(at, at + count) % self._turn], at)

    def _receive(self, lines: int) -> np.ndarray:
        """-> one turn of the recording as a radio hears it that is tuned `lines` above its centre, complex64."""
        low = len(self._spectrum) // 2 + lines - self._turn // 2
        high = low + self._turn
        beyond = max(0, -low), max(0, high - len(self._spectrum))
        part = np.pad(self._spectrum[max(0, low) : max(0, high)], beyond)
        heard = np.fft.ifft(np.fft.ifftshift(part * self._filter)) * self._turn
        return heard.astype(np.complex64) + self._line

    def close(self) -> None:
        """There is nothing to give back."""
