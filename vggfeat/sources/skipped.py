"""What is passed over, by the reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Skipped:
    """Entries of folders and archives that were passed over."""

    hidden: int = 0
    not_images: int = 0
    loops: int = 0
    links: int = 0  # within archives
    archives: int = 0

    def __str__(self) -> str:
        archives = "an archive" if self.archives == 1 else "archives"
        counts = {
            "hidden": self.hidden,
            "not an image": self.not_images,
            "a symlink loop": self.loops,
            "a link in an archive": self.links,
            f"{archives} (to read, name {'it' if self.archives == 1 else 'them'})": self.archives,
        }
        return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
