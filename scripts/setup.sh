#!/usr/bin/env bash
# Set up everything in this checkout: a JDK and a C compiler found or
# installed, a private .venv with the locked packages. Changes nothing else.
set -euo pipefail
cd -P "$(dirname "$0")/.."
source scripts/environment.sh
PATH=":$PATH:"
PATH=${PATH//":$PWD/.venv/bin:"/:}

stamp=.venv/imextract-setup

is_python() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null
}

# Everything on PATH is tried, because shims (pyenv) may stand in front of the
# interpreter that works.
find_python() {
    local candidate
    if [[ -n ${PYTHON:-} ]]; then
        is_python "$PYTHON" || die "PYTHON=$PYTHON is not a working Python 3.11 or 3.12; correct or unset it"
        "$PYTHON" -c 'import sys; print(sys.executable)'
        return
    fi
    while read -r candidate; do
        if is_python "$candidate"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done < <(type -aP python3.11 python3.12 python3 python)
    die "no Python 3.11 or 3.12 found on PATH; install one (Debian 12, Ubuntu 24.04: apt-get install python3) or run: make setup PYTHON=/path/to/python3.12"
}

fingerprint() {
    { sha256sum requirements.lock pyproject.toml build-constraints.txt scripts/setup.sh; say "$PWD"; .venv/bin/python -V; } 2>/dev/null
}

is_set_up() {
    [[ -f $stamp && -n ${JAVA_HOME:-} ]] && [[ $(fingerprint) == "$(<"$stamp")" ]]
}

can_compile() {
    local compiler
    compiler=$(type -P "${CC:-cc}" || type -P gcc) || return 1
    printf '#include <stdlib.h>\n#include <Python.h>\n' |
        "$compiler" -I"$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')" -fsyntax-only -x c - 2>/dev/null
}

has_uv() {
    # An old uv knows no build constraints.
    [[ $("$1" pip install --help 2>/dev/null) == *--build-constraint* ]]
}

# Prints the Debian packages that are missing for an interpreter.
missing_packages() {
    local python=$1 version
    version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    [[ -n ${JAVA_HOME:-} ]] || say default-jdk-headless
    can_compile "$python" || say gcc libc6-dev "$version-dev"
    has_uv uv || "$python" -c 'import ensurepip, venv' 2>/dev/null || say "$version-venv"
}

install_missing() {
    local python=$1 missing
    mapfile -t missing < <(missing_packages "$python" | tr ' ' '\n')
    ((${#missing[@]})) || return 0
    apt_install "python-javabridge needs a JDK and a C compiler" "${missing[@]}" ||
        die "missing: ${missing[*]}. Run this, then make again: sudo apt-get update && sudo apt-get install -y ${missing[*]}"
    JAVA_HOME=$(find_jdk) || die "no JDK found after installing ${missing[*]}; set JAVA_HOME to one"
    export JAVA_HOME
    missing=$(missing_packages "$python" | tr '\n' ' ')
    [[ -z $missing ]] || die "still not usable for $python after installing: $missing; try make setup PYTHON=/usr/bin/python3"
}

# Of a Python we know, complete, and not moved since it was made.
has_venv() {
    is_python .venv/bin/python && grep -qsF "$PWD/.venv" .venv/bin/activate
}

make_venv() {
    rm -rf .venv
    if has_uv uv; then
        uv venv -q --no-project --python "$1" .venv
    else
        "$1" -m venv .venv
    fi
}

ensure_uv() {
    if has_uv .venv/bin/uv; then
        uv=.venv/bin/uv
    elif has_uv uv; then
        uv=uv
    else
        PIP_USER=0 .venv/bin/python -m pip install -q --disable-pip-version-check 'uv>=0.5' ||
            die "uv could not be installed with pip into .venv; see the lines above (is the package index reachable?)"
        uv=.venv/bin/uv
    fi
}

install_packages() {
    say "installing the locked packages into .venv"
    UV_COMPILE_BYTECODE=1 "$uv" pip install -q --python .venv/bin/python \
        --require-hashes --build-constraints build-constraints.txt -r requirements.lock &&
        "$uv" pip install -q --python .venv/bin/python --no-deps --editable . &&
        .venv/bin/python -m compileall -q flows imextract tasks ||
        die "the packages could not be installed; see the lines above, then run make setup again"
}

is_set_up && exit 0
SECONDS=0
python=$(find_python)
install_missing "$python"
say "setting up .venv with $("$python" -V) and the JDK in $JAVA_HOME"
has_venv || make_venv "$python"
ensure_uv
install_packages
fingerprint >"$stamp"
say "set up in $SECONDS s"
