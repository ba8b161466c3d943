"""What a run tells of itself while it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vggfeat.outcome import Failure


class Watcher:
    """Told how a run goes. Silent: to be overridden by who wants to know."""

    def note(self, message: str) -> None:
        """Something worth a line."""

    def fetching(self, done: int, total: int | None) -> None:
        """Bytes of a download."""

    def foreseen(self, name: str, why: str) -> None:
        """What a run would do about one image, in a word or two, where it is only asked for."""

    def start(self, total: int | None) -> None:
        """The first image is about to be read, of so many."""

    def advance(self, images: int) -> None:
        """More images are done, failed ones included."""

    def limited(self, by: str | None) -> None:
        """Which of `stages.STAGES` holds up the run at present; None until it is known."""

    def failed(self, failure: Failure) -> None:
        """One image could not become a vector."""

    def stop(self) -> None:
        """No image follows."""
