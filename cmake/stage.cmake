# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Links everything in the folder FROM into the folder TO, and removes links to what is gone.
file(MAKE_DIRECTORY ${TO})
file(GLOB entries ${TO}/*)
foreach(entry ${entries})
  if(IS_SYMLINK ${entry})
    file(REMOVE ${entry})
  endif()
endforeach()
file(GLOB entries RELATIVE ${FROM} ${FROM}/*)
list(REMOVE_ITEM entries __pycache__)
foreach(entry ${entries})
  file(CREATE_LINK ${FROM}/${entry} ${TO}/${entry} SYMBOLIC)
endforeach()
