# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records to other programs: one sink a file, each with `write`, `flush` and `close` as those of `sinks.py`.

None makes the analysis wait: what a subscriber or broker cannot take in time is lost to it, and counted.
"""
