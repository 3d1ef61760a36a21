# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source that tags its samples as gr-uhd does, before one emitter on the air."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pmt
from gnuradio import gr

EMITTER = (801e6, 803e6)  # Hz; band-limited noise, 20 dB over the receiver's
PERIOD = 1 << 15  # samples after which the noise comes again


@dataclass(frozen=True)
class Stretch:
    """What a USRP gives until it is tuned anew or overflows.

    samples: how many. freq, rate: Hz. lost: samples that an overflow took before the first of these.
    late: samples that still come from the frequency before, as the tag is no more exact than that.
    """

    samples: int
    freq: float
    rate: float
    lost: int = 0
    late: int = 0


class usrp_source(gr.sync_block):
    """Plays stretches; the first sample of each has the tags rx_time, rx_rate and rx_freq, as UHD gives them at the
    start, after a retune, a change of rate and an overflow.

    began: (whole s, fraction) of the first sample, by the radio's clock.
    """

    def __init__(self, stretches: list[Stretch], began: tuple[int, float]) -> None:
        gr.sync_block.__init__(self, name="usrp", in_sig=None, out_sig=[np.complex64])
        self._parts = []  # samples left, tags of the first of them
        whole, fraction = began
        before = None
        for stretch in stretches:
            fraction += stretch.lost / stretch.rate
            whole, fraction = whole + int(fraction), fraction % 1
            tags = {
                "rx_time": pmt.make_tuple(pmt.from_uint64(whole), pmt.from_double(fraction)),
                "rx_rate": pmt.from_double(stretch.rate),
                "rx_freq": pmt.from_double(stretch.freq),
            }
            iq = on_air(stretch.samples, stretch.freq, stretch.rate)
            if stretch.late:
                iq[: stretch.late] = on_air(stretch.late, before.freq, before.rate)
            self._parts.append((iq, tags))
            fraction += stretch.samples / stretch.rate
            whole, fraction = whole + int(fraction), fraction % 1
            before = stretch

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        if not self._parts:
            return -1
        iq, tags = self._parts.pop(0)
        for key, value in tags.items():
            self.add_item_tag(0, self.nitems_written(0), pmt.intern(key), value)
        count = min(len(iq), len(output_items[0]))
        output_items[0][:count] = iq[:count]
        if count < len(iq):
            self._parts.insert(0, (iq[count:], {}))
        return count


def on_air(count: int, freq: float, rate: float) -> np.ndarray:
    """complex64 [count] of the emitter as a receiver at `freq`, Hz, hears it at `rate`."""
    return np.resize(_period(freq, rate), count)


@cache
def _period(freq: float, rate: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    iq = 0.05 * rng.standard_normal((PERIOD, 2)) @ [1, 1j]
    spectrum = np.fft.fft(rng.standard_normal((PERIOD, 2)) @ [1, 1j])
    at = freq + np.fft.fftfreq(PERIOD, 1 / rate)
    spectrum[(at < EMITTER[0]) | (at > EMITTER[1])] = 0
    return (iq + np.fft.ifft(spectrum)).astype(np.complex64)
