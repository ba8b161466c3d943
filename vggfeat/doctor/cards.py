"""What follows from the facts for the cards: why they are not used, as far as they are not."""

from __future__ import annotations

from collections.abc import Iterator

from vggfeat.doctor.facts import Facts
from vggfeat.doctor.finding import ERROR, WARNING, Finding, in_words
from vggfeat.doctor.judgement import complaint_about_gpus
from vggfeat.engines import gpu

_LEAST_ON_CARD = 1_000_000_000  # fc7's weights, and what CUDA takes for itself


def conclude(facts: Facts) -> Iterator[Finding]:
    """All that is in the way of a card, or there are signs of."""
    driver, hidden = facts.driver, facts.visible_devices is not None
    if driver.cards:
        yield from _unused_cards(facts)
    elif driver.error:
        yield Finding(
            WARNING,
            f"NVIDIA's driver shows no card: {driver.error}",
            "nvidia-smi tells more; after an update of the driver, restart the machine",
        )
    elif driver.found and hidden:
        yield Finding(
            WARNING,
            f"with CUDA_VISIBLE_DEVICES={facts.visible_devices} NVIDIA's driver shows no card",
            "unset CUDA_VISIBLE_DEVICES",
        )
    else:
        yield from _unreachable_cards(facts)


def _unused_cards(facts: Facts) -> Iterator[Finding]:
    missing = facts.missing_libraries or []
    hindrance = gpu.hindrance(facts.driver, facts.tensorflow_build, missing)
    trial = facts.self_test_of("tensorflow")
    if hindrance:
        yield Finding(WARNING, f"there is a GPU, but {hindrance.why}", hindrance.remedy)
        return
    yield from _full_cards(facts)
    if trial and trial.gpus is not None and len(trial.gpus) < len(facts.driver.cards):
        seen = f"{len(trial.gpus)} of {len(facts.driver.cards)} GPUs" if trial.gpus else "no GPU"
        yield Finding(
            WARNING,
            f"TensorFlow sees {seen}, for all that driver and libraries are there"
            f"{complaint_about_gpus(trial.log)}",
            "vggfeat doctor --json shows all of its log"
            + ("" if trial.gpus else "; until then --engine ncnn is faster"),
        )


def _full_cards(facts: Facts) -> Iterator[Finding]:
    cards = facts.driver.cards
    full = [card for card in cards if card.free is not None and card.free < _LEAST_ON_CARD]
    for card in full:
        yield Finding(
            ERROR if len(full) == len(cards) and facts.auto.engine == "tensorflow" else WARNING,
            f"GPU {card.index} has {in_words(card.free or 0)} of memory free, and extract takes "
            f"more than {in_words(_LEAST_ON_CARD)} of it",
            "end other programs on it (nvidia-smi lists them), or --engine ncnn",
        )


def _unreachable_cards(facts: Facts) -> Iterator[Finding]:
    machine = facts.machine
    sign = machine.kernel_driver or ("on the PCI bus" if machine.cards_on_bus else None)
    if sign is None:
        return
    if machine.container:
        yield Finding(
            WARNING,
            f"the machine seems to have an NVIDIA card ({sign}) that this container was not given",
            "docker run --gpus all ..., with the NVIDIA Container Toolkit on the host",
        )
    elif facts.driver.found:
        yield Finding(
            WARNING,
            f"the machine seems to have an NVIDIA card ({sign}), but its driver shows none",
            "see who may open /dev/nvidia0; under a batch system ask it for a GPU (Slurm: --gpus)",
        )
    elif machine.kernel_driver:
        yield Finding(
            WARNING,
            f"the kernel has NVIDIA's driver ({sign}), but its library libcuda.so.1 is not found",
            "install the driver's library (Debian: libcuda1, Ubuntu: libnvidia-compute-...)",
        )
    else:
        yield Finding(
            WARNING,
            "there is an NVIDIA card on the PCI bus, but no driver for it",
            "install NVIDIA's driver (Ubuntu: ubuntu-drivers install)",
        )
