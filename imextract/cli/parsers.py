"""What can be said on the command line; nothing heavy is imported to parse it."""

import argparse
from typing import TYPE_CHECKING, TypeAlias, get_args

from imextract import __version__
from imextract.compression import CompressionName

__all__ = ["experiment_parser", "main_parser"]

if TYPE_CHECKING:
    # argparse hands its users values of this type, yet calls it private.
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

PHASES = ("run", "collect")
STATES = ("planned", "extracted", "failed", "absent")

_EPILOG = """\
commands on one experiment (imextract EXPERIMENT_ID COMMAND --help):
  init      share out the planes that are missing into jobs
  run       extract the planes of one job, or of all
  collect   account for all planes; delete originals if init was told so
  info      show a job and how it went
  log       show the log of a job
  planes    list every plane
  metadata  show the vendors' own metadata, as kept
  verify    re-read every stored plane against its checksum
  accept    say that constant (suspect) planes are right
  cleanup   delete what was extracted, never what was planned
  release   take the experiment from a run that hangs

IMEXTRACT_DATABASE_URL and IMEXTRACT_STORAGE_URL say where ledger and planes
are kept; by default in your data folder.
"""


def main_parser() -> argparse.ArgumentParser:
    """Give the parser of commands that are not about one experiment."""
    parser = argparse.ArgumentParser(
        prog="imextract",
        description="Every pixel plane of microscope files: compressed, verified, addressable.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"imextract {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_register(commands)
    _add_list(commands)
    _add_simulate(commands)
    return parser


def experiment_parser() -> argparse.ArgumentParser:
    """Give the parser of ``imextract EXPERIMENT_ID COMMAND``."""
    parser = argparse.ArgumentParser(
        prog="imextract", usage="imextract EXPERIMENT_ID COMMAND [options]"
    )
    parser.add_argument("experiment_id", type=_id, help="as `imextract list` shows it")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_init(commands)
    _add_run(commands)
    _add_plain(commands, "collect", "account for all planes; delete originals if init said so")
    _add_job(commands, "info", "show a job and how it went")
    _add_job(commands, "log", "show the log of a job's last run")
    _add_planes(commands)
    _add_metadata(commands)
    _add_plain(commands, "verify", "re-read every stored plane against its checksum")
    _add_plain(commands, "accept", "say that constant (suspect) planes are right")
    _add_cleanup(commands)
    _add_plain(commands, "release", "take the experiment from a run that hangs")
    return parser


def _id(text: str) -> int:
    number = int(text)
    # Databases count in 64 bits.
    if not 1 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is no id of an experiment")
    return number


def _command(commands: "Commands", name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="say more; -vv also tracebacks"
    )
    return parser


def _plain(commands: "Commands", name: str, text: str) -> argparse.ArgumentParser:
    parser = _command(commands, name, text)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _add_plain(commands: "Commands", name: str, text: str) -> None:
    _plain(commands, name, text)


def _add_register(commands: "Commands") -> None:
    parser = _plain(commands, "register", "read a folder and write the plan of its planes")
    parser.add_argument("folder", help="folder of microscope files, with all its sub-folders")
    parser.add_argument("--name", required=True, help="name of the experiment")
    parser.add_argument("--experiment", type=int, metavar="ID", help="add to this experiment")
    parser.add_argument("--plate", help="name of the plate, where the files do not tell")
    parser.add_argument("--acquisition", help="name of the acquisition")
    parser.add_argument("--cycle", type=int, default=0, help="multiplexing cycle, from 0")
    parser.add_argument(
        "--microscope", metavar="TYPE", help="microscope type; auto, as by default, finds it out"
    )
    parser.add_argument(
        "--pattern",
        metavar="REGEX",
        help="named groups for plain numbered files: w s c z t p y x; or the name of a ready one",
    )
    parser.add_argument(
        "--layout",
        choices=("horizontal", "zigzag_horizontal", "vertical", "zigzag_vertical"),
        help="how the stage went over the sites of a well",
    )
    parser.add_argument("--rows", type=int, help="rows of the layout")
    parser.add_argument("--columns", type=int, help="columns of the layout")
    parser.add_argument(
        "--check",
        type=int,
        default=5,
        metavar="N",
        help="compare N planes of each acquisition with Bio-Formats; 0 for none",
    )
    parser.add_argument(
        "--manifest",
        metavar="FILE.csv",
        help="take the planes from this file; with --dry-run, write it if there is none",
    )
    parser.add_argument("--projection", choices=("max",), help="one projection for a z-stack")
    parser.add_argument("--dry-run", action="store_true", help="show the manifest, write nothing")


def _add_list(commands: "Commands") -> None:
    _plain(commands, "list", "list the experiments")


def _add_simulate(commands: "Commands") -> None:
    parser = _plain(commands, "simulate", "write a plate as a microscope does")
    parser.add_argument("folder", help="folder that is made")
    parser.add_argument("--microscope", required=True, metavar="TYPE", help="e.g. operetta")
    for name in ("wells", "sites", "channels", "zplanes", "tpoints", "height", "width", "seed"):
        parser.add_argument(f"--{name}", type=int, help=argparse.SUPPRESS if name == "seed" else "")
    parser.add_argument("--megabytes", type=float, metavar="MB", help="about this much of pixels")
    parser.add_argument("--plate", help="name of the plate")
    _add_faults(parser)


def _add_faults(parser: argparse.ArgumentParser) -> None:
    faults = parser.add_argument_group("faults", "what shall be wrong with the plate")
    for name, text in (
        ("absent", "planes declared, but not on disk"),
        ("truncated", "planes whose file is cut short"),
        ("duplicated", "planes that are there twice"),
        ("errors", "planes recorded as failed"),
    ):
        faults.add_argument(f"--{name}", type=int, default=0, metavar="N", help=text)
    faults.add_argument("--thumbnails", action="store_true", help="small pictures as well")


def _add_init(commands: "Commands") -> None:
    parser = _plain(commands, "init", "share out the planes that are missing into jobs")
    parser.add_argument(
        "-b", "--batch-size", type=int, help="most sites in a job; by default half a minute's work"
    )
    parser.add_argument(
        "--delete", action="store_true", help="collect deletes originals that are proven"
    )
    parser.add_argument(
        "--restart", action="store_true", help="forget earlier output and extract all again"
    )
    parser.add_argument("--compression", choices=get_args(CompressionName), default="zstd")
    parser.add_argument("--workers", type=int, default=1, help="at least this many jobs")


def _add_run(commands: "Commands") -> None:
    parser = _plain(commands, "run", "extract the planes of one job, or of all")
    parser.add_argument("-j", "--job", type=int, help="this job only, counted from 1")
    parser.add_argument(
        "--assume-clean-state", action="store_true", help="do not look for what is stored already"
    )


def _add_cleanup(commands: "Commands") -> None:
    parser = _plain(commands, "cleanup", "delete what was extracted, never what was planned")
    parser.add_argument(
        "--force", action="store_true", help="even if originals have changed, moved or vanished"
    )


def _add_job(commands: "Commands", name: str, text: str) -> None:
    parser = _plain(commands, name, text)
    parser.add_argument("-p", "--phase", choices=PHASES, default="run")
    parser.add_argument("-j", "--job", type=int, help="this job only, counted from 1")


def _add_planes(commands: "Commands") -> None:
    parser = _command(commands, "planes", "list every plane")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    parser.add_argument(
        "--columns", metavar="A,B,...", help="these columns; csv and json have all by default"
    )
    parser.add_argument("--state", choices=STATES)
    for name in ("plate", "well", "acquisition", "channel"):
        parser.add_argument(f"--{name}")
    for name in ("site", "cycle", "tpoint", "zplane"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--suspect", action="store_true", default=None, help="only constant planes")


def _add_metadata(commands: "Commands") -> None:
    parser = _plain(commands, "metadata", "list the vendors' own metadata, or show those of a file")
    parser.add_argument("--file", help="a file of the list, or the end of its path")
