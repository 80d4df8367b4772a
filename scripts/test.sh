#!/usr/bin/env bash
# Style, types and tests. What cannot be had on this machine is skipped by the
# tests themselves, with the reason.
set -euo pipefail
cd -P "$(dirname "$0")/.."
source scripts/environment.sh

has_postgresql() {
    type -P initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

if ! has_postgresql; then
    apt_install "the tests on PostgreSQL need a server" postgresql ||
        say "no PostgreSQL server here and none can be installed: its tests are skipped"
fi

has_slurm() (
    PATH=$PATH:/usr/sbin
    type -P munged slurmctld slurmd sbatch >/dev/null
)

if ! has_slurm; then
    apt_install "the tests on SLURM need one" slurm-wlm munge ||
        say "no SLURM here and none can be installed: its tests are skipped"
fi

has_fault_tools() (
    PATH=$PATH:/usr/sbin
    type -P strace mkfs.ext4 faketime >/dev/null
)

if ! has_fault_tools; then
    apt_install "the tests of faults need to cause them" strace e2fsprogs faketime ||
        say "no strace, mkfs.ext4 or faketime here and none can be installed: some tests of faults are skipped"
fi

ruff check .
ruff format --check .
mypy
# A module of tests at a time on each core, in the order of folders: what takes long comes first.
exec pytest --numprocesses=logical --maxprocesses=4 --dist=loadscope --no-loadscope-reorder "$@"
