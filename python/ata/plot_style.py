# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pictures of recordings and the live waterfall look like, where they look alike."""

COLOURS = {"LTE": "#ffa62b", "NR": "#35d0ff", "other": "#e8e8e8"}
QUIET_DB, LOUD_DB = -3.0, 15.0  # the colours span at least this, re the floor
NARROW = 1 / 40  # share of the picture: bands closer than this share a name, and others narrower than this have none
