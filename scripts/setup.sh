#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Sets up .venv with the module built and installed in it; safe to repeat, and quick when nothing changed.
# usage: scripts/setup.sh [runtime|training|dev]   (each contains the one before it)
set -euo pipefail
cd "$(dirname "$0")/.."
level=${1:-runtime}
case $level in runtime | training | dev) ;; *)
    echo "there is no set-up $level: runtime, training and dev there are" >&2
    exit 2 ;;
esac
case $PWD in *[[:space:]\']*)
    echo "$PWD has a space or an apostrophe in its name, which the scripts in .venv/bin cannot have: move it elsewhere" >&2
    exit 2 ;;
esac

packages="cmake g++ ninja-build pkg-config gnuradio gnuradio-dev pybind11-dev libfftw3-dev libspdlog-dev
 python3-venv python3-dev python3-numpy python3-scipy python3-matplotlib python3-pyqt5 python3-pyqtgraph"
[ "$level" != dev ] || packages="$packages gr-osmosdr libsoapysdr-dev mosquitto xvfb xauth"
missing=""
for p in $packages; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q "ok installed" || missing="$missing $p"
done
if [ -n "$missing" ]; then
    echo "installing:$missing"
    as_root=env
    [ "$(id -u)" = 0 ] || as_root="sudo env"
    $as_root apt-get update -qq
    $as_root DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing > /dev/null
fi

# The distribution's interpreter: GNU Radio's bindings belong to it and to its numpy.
[ -x .venv/bin/pip ] || /usr/bin/python3 -m venv --system-site-packages .venv
numpy=$(env -u PYTHONPATH /usr/bin/python3 -s -c 'import numpy; print(numpy.__version__)')
{ cat constraints.txt; echo "numpy==$numpy"; } > .venv/constraints.txt
printf '[install]\nconstraint = %s\n' "$PWD/.venv/constraints.txt" > .venv/pip.conf
pinned() { [ "$(.venv/bin/python -c 'import numpy; print(numpy.__version__)')" = "$numpy" ]; }
pinned || .venv/bin/python -m pip uninstall -q -y numpy
pinned || .venv/bin/python -m pip install -q --ignore-installed "numpy==$numpy"  # over another one in ~/.local
for part in runtime training dev; do
    stamp=.venv/.$part-$(cat "requirements/$part.txt" .venv/constraints.txt | sha256sum | cut -c1-12)
    if [ ! -e "$stamp" ]; then
        [ "$part" != training ] || echo "installing PyTorch: gigabytes, or a tenth of it as docs/install.md says"
        .venv/bin/python -m pip install -q -r "requirements/$part.txt"
        touch "$stamp"
    fi
    [ "$part" != "$level" ] || break
done

# A build folder of another place, or one that was set up for another prefix, is set up anew.
ours() { [ -e build/build.ninja ] && grep -qxF "$1" build/CMakeCache.txt; }
if ! { ours "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" && ours "CMAKE_INSTALL_PREFIX:PATH=$PWD/.venv"; }; then
    cmake --fresh -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$PWD/.venv" \
        -DPYTHON_EXECUTABLE="$PWD/.venv/bin/python" > build.log 2>&1 || { cat build.log; exit 1; }
    rm -f build.log
fi
cmake --build build -- --quiet
cmake --install build > build/install.log

# GNU Radio's own start under /usr/bin/python3, and run flowgraphs with it: it sees neither this module nor its blocks.
for tool in gnuradio-companion grcc; do
    printf '%s\n' '#!/bin/sh' "export GRC_BLOCKS_PATH='$PWD/.venv/share/gnuradio/grc/blocks'\${GRC_BLOCKS_PATH:+:\$GRC_BLOCKS_PATH}" \
        "exec '$PWD/.venv/bin/python' /usr/bin/$tool \"\$@\"" > .venv/bin/$tool
    chmod +x .venv/bin/$tool
done
