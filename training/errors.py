# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception a user is meant to read."""


class DataError(Exception):
    """Something the user can mend (a folder, a file, an argument); its text is one sentence."""
