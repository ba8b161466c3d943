"""What a user can be told, with its exit code."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_SOME_IMAGES_FAILED = 3
EXIT_DAMAGED = 4
EXIT_OUTDATED = 5
EXIT_BUSY = 75  # EX_TEMPFAIL of sysexits.h: cron jobs and mailers retry on it


class VggfeatError(Exception):
    """A sentence for the user: what went wrong, where, and what to do now."""

    exit_code = EXIT_FAILED


class UsageError(VggfeatError, ValueError):
    """What was asked for cannot be."""

    exit_code = EXIT_USAGE


class WeightsError(VggfeatError):
    """Weights that cannot be found, read, or are no VGG16."""


class ImageError(VggfeatError):
    """One image that cannot become a vector."""


class TransientImageError(ImageError):
    """An image that cannot become a vector at the moment: the next run tries it again."""


class OutputBusyError(VggfeatError):
    """Another vggfeat is writing the same output."""

    exit_code = EXIT_BUSY


class Interrupted(BaseException):
    """A signal asked the run to end. Not an `Exception`: no stage may swallow it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def describe_os_error(error: OSError) -> str:
    """The system's own words without number and path: `Permission denied`."""
    return error.strerror or str(error) or type(error).__name__
