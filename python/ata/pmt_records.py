# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detection records as PMTs, and radios' tags and messages as numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pmt

from .errors import LONGEST_FOREIGN
from .records import DATED, HIGHEST_FREQ, Record, utc

# The types of a record's numbers on the wire; what is not named here keeps the type its Python value has.
UINT64 = {"frame", "sample_start", "sample_count", "dropped_frames"}
EPOCH = datetime.fromtimestamp(0, UTC)


def to_pmt(value: object, key: str = "") -> pmt.pmt_base:
    """A JSON-like value -> PMT: dicts with symbol keys, lists as vectors, times as `rx_time`, indices as uint64, other
    numbers double.

    Text becomes a symbol, which GNU Radio keeps for ever: only for what is one of a few.
    """
    if value is None:
        return pmt.PMT_NIL
    if isinstance(value, bool):
        return pmt.from_bool(value)
    if isinstance(value, str):
        return pmt.intern(value)
    if key in UINT64:
        return pmt.from_uint64(int(value))
    if isinstance(value, dict):
        out = pmt.make_dict()
        for name, item in value.items():
            out = pmt.dict_add(out, pmt.intern(name), to_pmt(item, name))
        return out
    if isinstance(value, tuple):  # s since 1970, whole and fraction
        return pmt.make_tuple(pmt.from_uint64(value[0]), pmt.from_double(value[1]))
    if isinstance(value, list):
        out = pmt.make_vector(len(value), pmt.PMT_NIL)
        for i, item in enumerate(value):
            pmt.vector_set(out, i, to_pmt(item))
        return out
    return pmt.from_double(float(value))


def record_pmt(record: Record) -> pmt.pmt_base:
    """-> dict with the keys of the detection record; `time` as radios tell it in `rx_time`, not as text."""
    plain = record.to_dict()
    if record.time is not None:
        whole, micro = divmod((datetime.fromisoformat(record.time) - EPOCH) // timedelta(microseconds=1), 1_000_000)
        plain["time"] = whole, micro * 1e-6
    return to_pmt(plain)


def record_from_pmt(message: pmt.pmt_base) -> Record | None:
    """The inverse of `record_pmt`; None for a message that is no whole record."""
    try:
        plain = pmt.to_python(message)
        if plain["time"] is not None:
            seconds, fraction = radio_time(pmt.dict_ref(message, pmt.intern("time"), pmt.PMT_NIL))
            if seconds not in DATED:
                return None
            plain["time"] = utc(seconds, fraction)
        record = Record.from_dict(plain)
        counts = (record.frame, record.sample_start, record.sample_count, record.dropped_frames)
        hertz = [record.center_freq, record.samp_rate]
        others = [] if record.latency_ms is None else [record.latency_ms]
        texts = [record.model, record.engine]
        for band in record.bands:
            hertz += (band.freq_lower_edge, band.freq_upper_edge)
            others += (band.confidence, band.duty_cycle, *(() if band.snr_db is None else (band.snr_db,)))
            texts.append(band.label)
        whole = all(type(n) is int and 0 <= n < 1 << 63 for n in counts)
        real = all(isinstance(n, int | float) for n in hertz + others)  # a PMT number may be complex
        in_range = np.abs(hertz).max() <= HIGHEST_FREQ and np.isfinite(others).all()
        return record if whole and real and in_range and all(type(text) is str for text in texts) else None
    except Exception:  # whatever pmt, Record or numpy find wrong with something from anywhere
        return None


def labels_pdu(record: pmt.pmt_base, column_labels: np.ndarray) -> pmt.pmt_base:
    """-> PDU (record dict, u8vector [F] of class ids, lowest frequency first)."""
    labels = [int(c) for c in column_labels]
    return pmt.cons(record, pmt.init_u8vector(len(labels), labels))


def number(value: pmt.pmt_base) -> float | None:
    """Any PMT number -> float; None for anything else."""
    if pmt.is_number(value) and not pmt.is_complex(value):
        return float(pmt.to_uint64(value)) if pmt.is_uint64(value) else pmt.to_double(value)
    return None


def tuned_frequency(message: pmt.pmt_base) -> float | None:
    """The centre frequency, Hz, in a tune message: `cons('freq', x)`, `{'freq': x}` or a plain number; else None."""
    key = pmt.intern("freq")
    if pmt.is_dict(message) and pmt.dict_has_key(message, key):
        return number(pmt.dict_ref(message, key, pmt.PMT_NIL))
    if pmt.is_pair(message) and pmt.equal(pmt.car(message), key):
        return number(pmt.cdr(message))
    return number(message)


def radio_time(value: pmt.pmt_base) -> tuple[int, float] | None:
    """`rx_time`, a tuple (uint64 s, double s) -> (whole seconds, fraction of one); None if it is not one."""
    if not pmt.is_tuple(value) or pmt.length(value) != 2:
        return None
    whole, part = pmt.tuple_ref(value, 0), pmt.tuple_ref(value, 1)
    if not pmt.is_integer(whole) and not pmt.is_uint64(whole):
        return None
    seconds = pmt.to_uint64(whole) if pmt.is_uint64(whole) else pmt.to_long(whole)
    fraction = number(part)
    return None if fraction is None or not 0 <= fraction <= 1 else (seconds, fraction)


def shown(value: pmt.pmt_base) -> str:
    """A PMT as the log shows it, bounded; what does not read as text is said to be so."""
    try:
        text = str(value)
    except UnicodeDecodeError:
        text = "bytes that are no text"
    return text if len(text) <= LONGEST_FOREIGN else text[:LONGEST_FOREIGN] + "..."
