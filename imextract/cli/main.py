"""Entry point: parse, do, and turn errors into one line and an exit code."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from imextract.cli.output import UsageError, print_error
from imextract.cli.parsers import experiment_parser, main_parser
from imextract.errors import ImextractError
from imextract.garbage import keep_at_the_end, nothing_collected

__all__ = ["main"]

# Loaded when used, so that --help and errors of usage come at once.
_GENERAL = {
    "register": "imextract.cli.early_java:register",
    "list": "imextract.cli.experiments:list_",
    "simulate": "imextract.cli.simulate:simulate",
}
_EXPERIMENT = {
    "init": "imextract.cli.jobs:init",
    "run": "imextract.cli.jobs:run",
    "collect": "imextract.cli.jobs:collect",
    "cleanup": "imextract.cli.jobs:cleanup",
    "info": "imextract.cli.records:info",
    "log": "imextract.cli.records:log",
    "planes": "imextract.cli.planes:planes",
    "metadata": "imextract.cli.metadata:metadata",
    "verify": "imextract.cli.planes:verify",
    "accept": "imextract.cli.planes:accept",
    "release": "imextract.cli.jobs:release",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        0 if all is well, 1 on an error or where planes failed, 2 on wrong
        usage, 130 when interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    about_experiment = bool(given) and given[0].lstrip("-").isdigit()
    parser = experiment_parser() if about_experiment else main_parser()
    options = parser.parse_args(given)
    commands = _EXPERIMENT if about_experiment else _GENERAL
    _set_up_logging(options.verbose)
    keep_at_the_end()
    try:
        return _call(commands[options.command], options)
    except UsageError as error:
        print_error(f"imextract: error: {error}")
        return 2
    except ImextractError as error:
        if options.verbose >= 2:
            raise
        print_error(f"imextract: error: {' '.join(str(error).split())}")
        return 1
    except BrokenPipeError:
        # Whoever read our output had enough; Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        # The last fence: users get a line, and with -vv what a developer needs.
        if options.verbose >= 2:
            raise
        print_error(
            f"imextract: internal error: {type(error).__name__}: {' '.join(str(error).split())}; "
            "please report it with what -vv says"
        )
        return 1
    except KeyboardInterrupt:
        print_error("imextract: interrupted; run again to go on")
        return 130


def _call(command: str, options: argparse.Namespace) -> int:
    module, _, function = command.partition(":")
    with nothing_collected():
        loaded = import_module(module)
    code: int = getattr(loaded, function)(options)
    sys.stdout.flush()
    return code


def _set_up_logging(verbose: int) -> None:
    # On the handler: a job's own log has INFO whatever is shown here.
    handler = logging.StreamHandler()
    handler.setLevel({0: logging.ERROR, 1: logging.INFO}.get(verbose, logging.DEBUG))
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("imextract")
    logger.setLevel(logging.DEBUG if verbose > 1 else logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False
    # It grumbles about tags that nobody needs; what matters comes as an error.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())


if __name__ == "__main__":
    sys.exit(main())
