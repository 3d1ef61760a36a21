# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Radios by device string: one way to open, tune and set the gain of whatever GNU Radio has a driver for.

    radio = open_radio("rtl=0", samp_rate=2.4e6, center_freq=806e6, gain=30)
    flowgraph.connect(radio.block, segmenter)
    radio.set_center_freq(816e6)

A driver may hang for ever, in its constructor too and with Python's lock held: gr-osmosdr's `rtl_tcp` does, on a server
that accepts and says nothing. And most drivers say nothing when their device is lost: the block ends the flowgraph, or
stays and gives no more samples, and then it may not let the flowgraph stop. Whoever has to notice runs the radio in a
process of its own and counts samples, as `isolated.py` and `live.py` do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gnuradio import blocks, gr

from .errors import AtaError, RadioLost
from .frontend import SAME_RATE
from .sources import recording_source

Gain = float | Mapping[str, float] | None  # dB for the whole chain, dB by stage, or None for automatic

FREQ_TOLERANCE = 0.1  # of the sample rate
DISTRIBUTES = ("uhd", "soapy", "bladerf")  # what gr-osmosdr hands a plain gain on to, for all stages together
MISTYPED = ("bad lexical cast", "No devices specified via device arguments")  # a device string that no waiting mends
RTL_TCP_UNKNOWN = (52e6, 2.2e9, 0.0, 0.0)  # frequencies and gains that gr-osmosdr gives a tuner nobody named


@dataclass
class Radio:
    """An open radio.

    device: the string it was opened with. block: connect its output 0, complex64. samp_rate: what it really gives, Hz.
    center_freq: what it is tuned to, Hz. Both are its own words, near what was asked for. failure: why its stream ended,
    where it knows.
    """

    device: str
    block: gr.basic_block
    samp_rate: float
    center_freq: float
    _tune: Callable[[float], float]
    _gain: Callable[[Gain], None]
    failure: Callable[[], Exception | None] = lambda: None

    def set_center_freq(self, freq: float) -> float:
        """Tunes to `freq`, Hz, while it runs or not -> what it is tuned to; AtaError for what it cannot reach,
        RadioLost where it has gone.

        Samples of the old frequency are still on their way when this returns; gr-osmosdr puts no tag where they end.
        """
        with _said(self.device, f"cannot be tuned to {freq / 1e6:g} MHz"):
            actual = self._tune(freq)
        if not abs(actual - freq) <= FREQ_TOLERANCE * self.samp_rate:
            kind = AtaError if actual else RadioLost  # librtlsdr says 0 Hz of a device that was unplugged
            raise kind(f"{self.device} cannot be tuned to {freq / 1e6:g} MHz: it went to {actual / 1e6:g} MHz")
        self.center_freq = actual
        return actual

    def set_gain(self, gain: Gain) -> None:
        """dB for the whole chain, a dict of dB by stage, or None for automatic.

        AtaError for an unknown stage, and for dB for the whole chain where the driver would set but one stage of it.
        """
        with _said(self.device, "does not take this gain"):
            self._gain(gain)


def open_radio(device: str, samp_rate: float | None = None, center_freq: float | None = None,
               gain: Gain = None) -> Radio:
    """Opens a device -> a Radio that is set and ready to connect.

    device: "loop:FILE" (a recording, over and over, in real time), "uhd:ARGS" (gr-uhd), "soapy:ARGS" (gr-soapy), or
    any gr-osmosdr string ("rtl=0", "rtl_tcp=HOST:PORT", "hackrf=0", "file=PATH,rate=2.4e6").
    samp_rate, center_freq: Hz; only a recording has its own and needs none.

    Raises, with one sentence, RadioLost for a device that is missing, which may change, and AtaError for a rate,
    frequency or gain that it does not take, which will not.
    """
    kind, _, args = device.partition(":")
    if kind == "loop":
        return _open_loop(device, args, samp_rate, center_freq)
    for value, option, example in ((samp_rate, "rate", "2.4e6"), (center_freq, "freq", "806e6")):
        if value is None or not math.isfinite(value) or value <= 0:
            raise AtaError(f"{device} needs a {option} in Hz, such as --{option} {example}")
    if kind == "uhd":
        return _open_uhd(device, args, samp_rate, center_freq, gain)
    if kind == "soapy":
        return _open_soapy(device, args, samp_rate, center_freq, gain)
    return _open_osmosdr(device, samp_rate, center_freq, gain)


def parse_gain(text: str) -> Gain:
    """"auto", "30" or "RF=0,IF=24,BB=20" -> a gain; AtaError for anything else."""
    if text == "auto":
        return None
    try:
        if "=" not in text:
            return _decibels(text)
        return {name.strip(): _decibels(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError:
        raise AtaError(f"{text!r} is no gain: auto, a number of dB, or stages such as RF=0,IF=24,BB=20") from None


def _decibels(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError
    return value


class _said:
    """Turns a driver's exception into one sentence: a RuntimeError means that the radio is missing or gone, but for what
    it says of a device string that is mistyped."""

    def __init__(self, device: str, what: str) -> None:
        self._device, self._what = device, what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        if isinstance(failure, (RuntimeError, ValueError, IndexError, ImportError)):
            words = " ".join(str(failure).split())
            lost = isinstance(failure, RuntimeError) and not any(said in words for said in MISTYPED)
            kind = RadioLost if lost else AtaError
            raise kind(f"{self._device} {self._what}: {words or type(failure).__name__}") from failure


def _settled(radio: Radio, samp_rate: float, center_freq: float, gain: Gain) -> Radio:
    """The last steps of every driver, once the rate is set: refuse what it made of it, tune, set the gain."""
    if not abs(radio.samp_rate - samp_rate) <= SAME_RATE * samp_rate:
        if not radio.samp_rate > 0:
            raise RadioLost(f"{radio.device} refuses {samp_rate / 1e6:g} MS/s: it gives no rate at all")
        raise AtaError(f"{radio.device} refuses {samp_rate / 1e6:g} MS/s: it gives {radio.samp_rate / 1e6:g} MS/s")
    radio.set_center_freq(center_freq)
    radio.set_gain(gain)
    return radio


def _within(device: str, freq: float, low: float, high: float) -> None:
    if low < high and not low <= freq <= high:
        raise AtaError(f"{device} cannot be tuned to {freq / 1e6:g} MHz: it reaches {low / 1e6:g} to {high / 1e6:g} MHz")


def _span(reach: object) -> tuple[float, float]:
    """Lowest and highest value of a driver's range; (0, 0) where it has none."""
    try:
        return reach.start(), reach.stop()
    except RuntimeError:
        return 0.0, 0.0


def _stages(device: str, gain: Mapping[str, float], names: list[str], set_one: Callable[[str, float], object]) -> None:
    for name in gain:
        if name not in names:
            raise AtaError(f"{device} has no gain stage {name!r}; it has {', '.join(names) or 'none'}")
    for name, value in gain.items():
        set_one(name, value)


def _one_stage(device: str, gain: float, source: object) -> None:
    """Most of gr-osmosdr's drivers set a plain gain for their first stage and leave the others: of a HackRF that is an
    amplifier of 14 dB or none, which strong signals harm."""
    names = list(source.get_gain_names())
    if len(names) < 2:
        return
    example = ",".join(f"{name}={_middle(source.get_gain_range(name)):g}" for name in names)
    raise AtaError(f"{device} has {len(names)} gain stages ({', '.join(names)}), and its driver would set only the first "
                   f"to {gain:g} dB: give each its own, such as {example}")  # fmt: skip


def _middle(reach: object) -> float:
    """The middle of a driver's range of gains, rounded down to a step."""
    (low, high), step = _span(reach), reach.step()
    return low + ((high - low) / 2 // step * step if step > 0 else (high - low) / 2)


def _open_osmosdr(device: str, samp_rate: float, center_freq: float, gain: Gain) -> Radio:
    with _said(device, "needs gr-osmosdr (apt install gr-osmosdr)"):
        import osmosdr
    with _said(device, "cannot be opened"):
        source = osmosdr.source(args=f"numchan=1 {device}")
        span = _span(source.get_freq_range())
        if device.startswith("rtl_tcp") and (*span, *_span(source.get_gain_range())) == RTL_TCP_UNKNOWN:
            raise RadioLost(f"{device} cannot be opened: what answers there names no tuner, so it is no rtl_tcp server")
    with _said(device, f"refuses {samp_rate / 1e6:g} MS/s"):
        source.set_sample_rate(samp_rate)
        actual = source.get_sample_rate()

    def tune(freq: float) -> float:
        _within(device, freq, *span)
        source.set_center_freq(freq)
        return source.get_center_freq()

    def set_gain(gain: Gain) -> None:
        if isinstance(gain, float | int) and not device.startswith(DISTRIBUTES):
            _one_stage(device, gain, source)
        source.set_gain_mode(gain is None)
        if isinstance(gain, Mapping):
            _stages(device, gain, list(source.get_gain_names()), lambda name, value: source.set_gain(value, name))
        elif gain is not None:
            source.set_gain(gain)

    return _settled(Radio(device, source, actual, 0.0, tune, set_gain), samp_rate, center_freq, gain)


def _open_uhd(device: str, args: str, samp_rate: float, center_freq: float, gain: Gain) -> Radio:
    with _said(device, "needs gr-uhd (apt install gnuradio)"):
        from gnuradio import uhd
    with _said(device, "cannot be opened"):
        source = uhd.usrp_source(args, uhd.stream_args(cpu_format="fc32", channels=[0]))
        span = _span(source.get_freq_range())
    with _said(device, f"refuses {samp_rate / 1e6:g} MS/s"):
        source.set_samp_rate(samp_rate)

    def tune(freq: float) -> float:
        _within(device, freq, *span)
        source.set_center_freq(uhd.tune_request(freq), 0)
        return source.get_center_freq(0)

    def set_gain(gain: Gain) -> None:
        if isinstance(gain, Mapping):
            _stages(device, gain, list(source.get_gain_names(0)), lambda name, value: source.set_gain(value, name, 0))
        elif gain is not None:
            source.set_gain(gain, 0)
        else:
            try:
                source.set_rx_agc(True, 0)
            except RuntimeError:  # most USRPs have none
                source.set_normalized_gain(0.5, 0)

    radio = Radio(device, source, source.get_samp_rate(), 0.0, tune, set_gain)
    return _settled(radio, samp_rate, center_freq, gain)


def _open_soapy(device: str, args: str, samp_rate: float, center_freq: float, gain: Gain) -> Radio:
    with _said(device, "needs gr-soapy (apt install gnuradio)"):
        from gnuradio import soapy
    with _said(device, "cannot be opened"):
        source = soapy.source(args, "fc32", 1, "", "", [""], [""])
        spans = source.get_frequency_range(0)
        low = min((s.minimum() for s in spans), default=0.0)
        high = max((s.maximum() for s in spans), default=0.0)
    with _said(device, f"refuses {samp_rate / 1e6:g} MS/s"):
        source.set_sample_rate(0, samp_rate)

    def tune(freq: float) -> float:
        _within(device, freq, low, high)
        source.set_frequency(0, freq)
        return source.get_frequency(0)

    def set_gain(gain: Gain) -> None:
        automatic = source.has_gain_mode(0)
        if automatic:
            source.set_gain_mode(0, gain is None)
        if isinstance(gain, Mapping):
            _stages(device, gain, list(source.list_gains(0)), lambda name, value: source.set_gain(0, name, value))
        elif gain is not None:
            source.set_gain(0, gain)
        elif not automatic:
            reach = source.get_gain_range(0)
            source.set_gain(0, (reach.minimum() + reach.maximum()) / 2)

    radio = Radio(device, source, source.get_sample_rate(0), 0.0, tune, set_gain)
    return _settled(radio, samp_rate, center_freq, gain)


class _loop(gr.hier_block2):
    """A recording over and over in real time, without the time at which it was made."""

    def __init__(self, recording: recording_source) -> None:
        gr.hier_block2.__init__(
            self, "ata.loop", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, gr.sizeof_gr_complex)
        )
        throttle = blocks.throttle(gr.sizeof_gr_complex, recording.samp_rate)
        then = blocks.tag_gate(gr.sizeof_gr_complex, False)
        then.set_single_key("rx_time")
        self.connect(recording, throttle, then, self)
        self._recording = recording  # GNU Radio does not keep a Python block alive


def _open_loop(device: str, path: str, samp_rate: float | None, center_freq: float | None) -> Radio:
    recording = recording_source(path, True, samp_rate or 0.0, center_freq or 0.0)
    return Radio(device, _loop(recording), recording.samp_rate, recording.center_freq, lambda _: recording.center_freq,
                 lambda _: None, lambda: recording.failure)
