"""What is told of the pace of a run, to its watcher and in `feats.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_pipeline import MeanEngine
from vggfeat import pipeline
from vggfeat.extraction import Extraction
from vggfeat.outcome import Outcome
from vggfeat.pace import Pace
from vggfeat.preprocess import Preprocessing
from vggfeat.sinks import RowType, form
from vggfeat.sinks.stdout import StdoutSink
from vggfeat.sources import ImageRef, open_inputs
from vggfeat.stages import STAGES
from vggfeat.suspects import Suspects
from vggfeat.watcher import Watcher


class Told(StdoutSink):
    """Keeps what `feats.json` is to tell."""

    about: dict[str, Any]

    def publish(self, done: Any, about: dict[str, Any]) -> None:
        self.about = json.loads(json.dumps(about))
        super().publish(done, about)


class Heard(Watcher):
    def __init__(self) -> None:
        self.limits: list[str | None] = []

    def limited(self, by: str | None) -> None:
        self.limits.append(by)


def extracted(paths: list[Path], heard: Heard) -> dict[str, Any]:
    """What is told of a run of these images."""
    sink, pace = Told(form("csv"), RowType((1,), "float32")), Pace()

    def compute(images: Iterable[ImageRef], suspects: Suspects) -> Iterator[list[Outcome]]:
        return pipeline.run(images, Preprocessing(), MeanEngine(), batch_size=1, pace=pace)

    images = open_inputs(list(map(str, paths)))
    run = Extraction(images, sink, heard, {}, strict=False, pace=pace)
    report = run.carry_out(compute, None)
    (told,) = sink.about["runs"]
    assert report.pace.items() <= told.items()
    return told


@pytest.mark.usefixtures("capfdbinary")
def test_a_run_tells_what_has_limited_it(samples: list[Path]) -> None:
    heard = Heard()
    told = extracted(samples[:3], heard)
    assert told["limited_by"] in STAGES
    assert told["devices"] == list(MeanEngine().devices)
    assert len(heard.limits) == 3
    assert set(heard.limits) <= set(STAGES)


@pytest.mark.usefixtures("capfdbinary")
def test_a_run_that_computes_nothing_is_limited_by_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").touch()
    heard = Heard()
    assert "limited_by" not in extracted([tmp_path / "bad.jpg"], heard)
    assert heard.limits == [None]
