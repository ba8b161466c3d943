"""The command line: click in, one call, messages out. Nothing is computed here."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import NoReturn

import click

from vggfeat.cli.bench import bench
from vggfeat.cli.classify import classify
from vggfeat.cli.doctor import doctor
from vggfeat.cli.duplicates import duplicates
from vggfeat.cli.extract import extract
from vggfeat.cli.finetune import finetune
from vggfeat.cli.freeze import freeze
from vggfeat.cli.head import head
from vggfeat.cli.merge import merge
from vggfeat.cli.options import Verbosity
from vggfeat.cli.similar import similar
from vggfeat.cli.verify import verify
from vggfeat.cli.weights import weights
from vggfeat.errors import EXIT_FAILED, Interrupted, VggfeatError

EPILOG = """\b
Exit codes:
  0    all done
  1    could not run
  2    the command line is wrong
  3    done, but some images failed
  4    verify: the output is damaged
  5    verify: the output is whole, but not up to date
  75   another vggfeat is writing this output
  130  interrupted by Ctrl-C (143: by SIGTERM)
"""


@click.group(
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="vggfeat", message="%(prog)s %(version)s")
def vggfeat() -> None:
    """VGG16 features of images: a folder of pictures in, one vector a picture out.

    \b
      vggfeat extract ./imgs -o feats.npy
    """


vggfeat.add_command(extract)
vggfeat.add_command(merge)
vggfeat.add_command(verify)
vggfeat.add_command(finetune)
vggfeat.add_command(freeze)
vggfeat.add_command(weights)
vggfeat.add_command(head)
vggfeat.add_command(classify)
vggfeat.add_command(similar)
vggfeat.add_command(duplicates)
vggfeat.add_command(doctor)
vggfeat.add_command(bench)


def main() -> NoReturn:
    """The console script: runs the command line, dies as a Unix program does."""
    for signum in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)):
        if signum is not None and signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, _interrupt)
    try:
        code = vggfeat.main(prog_name="vggfeat", standalone_mode=False)
        if sys.stdout is not None:  # started with it closed
            sys.stdout.flush()
        sys.exit(code or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except VggfeatError as error:
        _say(str(error), error)
        sys.exit(error.exit_code)
    except Interrupted as interrupt:
        if interrupt.signum != getattr(signal, "SIGPIPE", None):
            _say(f"interrupted by {signal.Signals(interrupt.signum).name}")
        _die_by(interrupt.signum)
    except MemoryError as error:
        _say("out of memory: try a smaller --batch-size", error)
        sys.exit(EXIT_FAILED)
    except Exception as error:
        _say(f"a fault in vggfeat itself: {type(error).__name__}: {error} (-v shows where)", error)
        sys.exit(EXIT_FAILED)


def _interrupt(signum: int, frame: object) -> NoReturn:
    raise Interrupted(signum)


def _say(message: str, error: BaseException | None = None) -> None:
    """One line, and with -v the traceback before it."""
    if error is not None and Verbosity.verbose:
        traceback.print_exception(error)
    click.echo(f"vggfeat: {message}", err=True)


def _die_by(signum: int) -> NoReturn:
    """End by the signal itself, so that shells and their loops see what happened.

    Nothing is left to do, and no thread that still computes is waited for.
    """
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)
