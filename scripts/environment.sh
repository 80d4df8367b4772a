# shellcheck shell=bash
# What every script needs to know of the machine; meant to be sourced.

say() { printf '%s\n' "$*"; }
die() { printf 'imextract: %s\n' "$*" >&2; exit 1; }

# A user's own Python settings have no business in the private environment.
# CP_JAVA_HOME would beat JAVA_HOME in javabridge.
unset PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE VIRTUAL_ENV CONDA_PREFIX CP_JAVA_HOME

is_jdk() {
    [[ -x $1/bin/javac && -f $1/include/jni.h ]] &&
        [[ -n $(find -L "$1/lib" "$1/jre/lib" -maxdepth 3 -name libjvm.so -print -quit 2>/dev/null) ]]
}

# Prints the home of a JDK: the one asked for, the one on PATH, the tested
# versions, any other.
find_jdk() {
    local home javac
    javac=$(type -P javac || true)
    for home in "${JAVA_HOME:-}" \
        "${javac:+$(dirname "$(dirname "$(readlink -f "$javac")")")}" \
        /usr/lib/jvm/*-{17,21,11}-* /usr/lib/jvm/*; do
        if [[ -n $home ]] && is_jdk "$home"; then
            say "$home"
            return 0
        fi
    done
    return 1
}

# Can packages be installed? Prints the words that go before apt-get.
apt_prefix() {
    type -P apt-get >/dev/null || return 1
    if [[ $(id -u) == 0 ]]; then
        say env
    elif sudo -n true 2>/dev/null; then
        say "sudo -n env"
    else
        return 1
    fi
}

# apt_install REASON PACKAGE...
apt_install() {
    local reason=$1 prefix output
    shift
    prefix=$(apt_prefix) || return 1
    say "$reason: installing $* with apt-get"
    # shellcheck disable=SC2086
    if ! output=$($prefix apt-get -qq update 2>&1 &&
        $prefix DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" 2>&1); then
        say "$output" >&2
        return 1
    fi
}

if jdk=$(find_jdk); then
    export JAVA_HOME=$jdk
else
    unset JAVA_HOME
fi
unset jdk
if [[ -x .venv/bin/python ]]; then
    export PATH="$PWD/.venv/bin:$PATH"
fi
