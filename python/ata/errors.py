# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception a user is meant to read."""


class AtaError(Exception):
    """Something the user can mend; its text is one sentence that says what and, where known, how."""
