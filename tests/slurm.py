"""A SLURM of the test's own: one node, on loopback, stopped by who started it."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from scripts import prefect_stack

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "scontrol", "sinfo", "squeue")
# More than a small machine has: no job shall wait for another.
CPUS = 4

# Without cgroups, which only root has and not everywhere: no memory limit is enforced.
_SLURM_CONF = """\
ClusterName=imextract
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MinJobAge=300
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=normal Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class SlurmError(Exception):
    """A command of SLURM failed, or a part of it does not start."""


@dataclass(frozen=True)
class Slurm:
    """A running SLURM."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment that leads to it."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, program: str, *arguments: str) -> str:
        """Run a command of SLURM and give its output."""
        done = subprocess.run(
            [str(_find(program)), *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        if done.returncode:
            raise SlurmError(f"{program}: {done.stderr}")
        return done.stdout

    def jobs(self, states: str = "") -> list[str]:
        """Give the numbers of jobs: of those that have not ended, or of all."""
        chosen = [f"--states={states}"] if states else []
        return self.run("squeue", "--noheader", "--format=%A", *chosen).split()

    def error_log(self, job: str) -> str:
        """Give what a job wrote to its standard error."""
        words = self.run("scontrol", "--oneliner", "show", "job", job).split()
        told = dict(word.split("=", 1) for word in words if "=" in word)
        # SLURM 22.05 leaves it to the reader to fill in the number.
        return Path(told["StdErr"].replace("%J", job)).read_text()

    def log(self, program: str) -> Path:
        """Give the file that a server writes to."""
        return self.folder / f"{program}.log"


def what_is_missing() -> str | None:
    """Say what is missing for a SLURM of our own, and how to get it."""
    absent = [program for program in PROGRAMS if _find(program) is None]
    return f"no {', '.join(absent)} here: apt-get install slurm-wlm munge" if absent else None


@contextmanager
def serving() -> Iterator[Slurm]:
    """Start a SLURM that has not run a job."""
    with ExitStack() as stack:
        # Not in pytest's folder: the path of a socket must be short.
        slurm = Slurm(Path(tempfile.mkdtemp(prefix="imextract-slurm-")))
        stack.callback(shutil.rmtree, slurm.folder, ignore_errors=True)
        _configure(slurm.folder)
        stack.enter_context(_running(slurm, "munged", *_munge_options(slurm.folder)))
        _wait(slurm, "munged", (slurm.folder / "munge.socket").exists)
        stack.enter_context(_running(slurm, "slurmctld", "-D"))
        _wait(slurm, "slurmctld", lambda: "UP" in slurm.run("scontrol", "ping"))
        stack.enter_context(_running(slurm, "slurmd", "-D"))
        _wait(slurm, "slurmd", lambda: "idle" in slurm.run("sinfo", "--noheader", "--format=%T"))
        stack.callback(_end_jobs, slurm)
        yield slurm


def _configure(folder: Path) -> None:
    # munged wants its socket to be within everybody's reach, as in /run.
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(128))
    text = _SLURM_CONF.format(
        folder=folder,
        host=socket.gethostname().partition(".")[0],
        user=getpass.getuser(),
        controller_port=prefect_stack.free_port(),
        node_port=prefect_stack.free_port(),
        cpus=CPUS,
        memory_mb=psutil.virtual_memory().total // 2**20,
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "cgroup.conf").write_text(f"CgroupPlugin={_cgroup_plugin()}\n")


def _cgroup_plugin() -> str:
    # slurmd wants one, needed or not. An old one knows no other that always starts.
    told = subprocess.run([str(_find("slurmd")), "-V"], capture_output=True, text=True, check=True)
    year, month = told.stdout.split()[-1].split(".")[:2]
    return "disabled" if (int(year), int(month)) >= (23, 11) else "cgroup/v1"


def _munge_options(folder: Path) -> list[str]:
    files = {
        "key-file": "munge.key",
        "socket": "munge.socket",
        "pid-file": "munged.pid",
        "log-file": "munged.own.log",
        "seed-file": "munged.seed",
    }
    # By force, for it mistrusts a folder below /tmp.
    return ["--foreground", "--force", *(f"--{key}={folder / name}" for key, name in files.items())]


@contextmanager
def _running(slurm: Slurm, program: str, *arguments: str) -> Iterator[None]:
    with slurm.log(program).open("wb") as log:
        process = subprocess.Popen(
            [str(_find(program)), *arguments],
            env={**os.environ, **slurm.environment},
            cwd=slurm.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=prefect_stack._end_with_parent,
        )
    try:
        yield
    finally:
        prefect_stack._stop(process)


def _end_jobs(slurm: Slurm) -> None:
    # Jobs are no children of slurmd: they would outlive it.
    slurm.run("scancel", f"--user={getpass.getuser()}")
    deadline = time.monotonic() + 100
    while slurm.jobs() and time.monotonic() < deadline:
        time.sleep(0.2)


def _wait(slurm: Slurm, program: str, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        with suppress(SlurmError):
            if is_ready():
                return
        time.sleep(0.1)
    raise SlurmError(f"{program} is not ready: {slurm.log(program).read_text()[-3000:]}")


def _find(program: str) -> str | None:
    # Debian keeps servers off the PATH of ordinary users.
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
