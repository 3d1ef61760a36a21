# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What records become in GNU Radio's messages and tags."""

from dataclasses import replace

import pmt
from gnuradio.ata.pmt_records import record_pmt
from gnuradio.ata.records import Band, Record, utc


def symbols(value: pmt.pmt_base) -> set[str]:
    """All that stand in a PMT."""
    if pmt.is_symbol(value):
        return {pmt.symbol_to_string(value)}
    if pmt.is_tuple(value) or pmt.is_vector(value):
        ref = pmt.tuple_ref if pmt.is_tuple(value) else pmt.vector_ref
        return set().union(*(symbols(ref(value, i)) for i in range(pmt.length(value))))
    return symbols(pmt.car(value)) | symbols(pmt.cdr(value)) if pmt.is_pair(value) else set()


def test_no_message_holds_a_symbol_of_its_own() -> None:
    """GNU Radio never forgets one: a symbol a frame would be gigabytes in a week, and a search through all of them."""
    band = Band("NR", 806e6, 816e6, 0.9, 20.0, 0.5)
    records = [Record(n, n * 100, 100, utc(1_800_000_000 + n, n / 7), 8e8 + n, 2e6, "m", "e", False, n, 1.5 * n,
                      (replace(band, confidence=n / 9),)) for n in range(5)]  # fmt: skip
    messages = [record_pmt(record) for record in records]
    assert all(symbols(message) == symbols(messages[0]) for message in messages) and "NR" in symbols(messages[0])
