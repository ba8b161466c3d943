"""What the doctor found, for programs and for the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from vggfeat.doctor import facts, findings
from vggfeat.doctor.facts import Facts
from vggfeat.doctor.finding import ERROR, Finding
from vggfeat.errors import EXIT_DONE, EXIT_FAILED


@dataclass(frozen=True)
class Report:
    """Facts, and what follows from them."""

    facts: Facts
    findings: list[Finding]

    @property
    def exit_code(self) -> int:
        """0 where `vggfeat extract` will run."""
        failed = any(finding.severity == ERROR for finding in self.findings)
        return EXIT_FAILED if failed else EXIT_DONE

    def as_dict(self) -> dict[str, Any]:
        """For JSON. All sizes are in bytes, and what is not known is None.

        The keys are the attributes of `Facts`, and theirs in turn, with

        - `findings`: a list of `severity` (`error` or `warning`), `problem`, `remedy`;
        - `exit_code`: 0 where `vggfeat extract` will run, else 1.
        """
        told = asdict(self.facts)
        told["findings"] = [finding._asdict() for finding in self.findings]
        told["exit_code"] = self.exit_code
        return told


def examine(on_step: Callable[[str], None] = lambda step: None) -> Report:
    """Look at the machine and test the engines; some seconds.

    Args:
        on_step: told, in words, what is done next.
    """
    found = facts.collect(on_step)
    return Report(found, findings.conclude(found))
