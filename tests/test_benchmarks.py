"""What `make bench` reckons and writes about GPUs, from made-up measurements."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks import arguments, report
from tests.benchmarks.gpu import flop
from tests.benchmarks.gpu import report as gpus
from tests.benchmarks.gpu.files import DECODING
from tests.benchmarks.growth import in_second_half
from tests.benchmarks.plan import FULL
from tests.benchmarks.results import Results, Row, Table
from vggfeat.engines import gpu

RESULTS = Path(__file__).parent / "benchmarks" / "RESULTS.md"
MACHINE = {
    "processor": "Some CPU",
    "cores": 16,
    "memory": 2**37,
    "system": "Linux x86_64",
    "python": "3.12",
    "versions": {"vggfeat": "1"},
    "cards": ["Some Card with 80 GiB"],
}
# Side of the output, channels in, channels out: table 1 of the paper, configuration D.
CONVOLUTIONS = [
    *[(224, 3, 64), (224, 64, 64)],
    *[(112, 64, 128), (112, 128, 128)],
    *[(56, 128, 256), (56, 256, 256), (56, 256, 256)],
    *[(28, 256, 512), (28, 512, 512), (28, 512, 512)],
    *[(14, 512, 512), (14, 512, 512), (14, 512, 512)],
]


def results(**tables: list[Row]) -> Results:
    return Results(MACHINE, {name: Table(rows, "2030-01-01") for name, rows in tables.items()})


def table(text: str, title: str) -> dict[str, dict[str, str]]:
    """The one table that has a column of this title: its lines by their first cell."""
    (found,) = (part for part in text.split("\n\n") if f"| {title} |" in part.partition("\n")[0])
    titles, _, *lines = (
        [cell.strip() for cell in line[1:-1].split("|")] for line in found.split("\n")
    )
    return {line[0]: dict(zip(titles, line, strict=True)) for line in lines if len(line) > 1}


def ceiling(images_per_second: float, library: str = "TensorFlow") -> Row:
    flops = images_per_second * flop.an_image()
    return Row("matmul", library, rates=[flops / 2, flops], precision="bfloat16", batch=8192)


def engine(variant: str, batch: int, rate: float) -> Row:
    return Row(
        "vggfeat-bfloat16",
        f"vggfeat, bfloat16, {variant}".removesuffix(", "),
        rates=[rate],
        precision="bfloat16",
        variant=variant,
        batch=batch,
        error=0.0044,
    )


def test_an_image_up_to_fc7_is_the_multiplications_and_additions_of_the_papers_table() -> None:
    convolutions = sum(side**2 * 9 * into * out for side, into, out in CONVOLUTIONS)
    assert flop.an_image() == 2 * (convolutions + 7 * 7 * 512 * 4096 + 4096 * 4096)
    assert flop.an_image() == pytest.approx(30.93e9, rel=1e-3)
    assert flop.an_image("conv1_1") == 2 * 224 * 224 * 27 * 64


def test_where_no_gpu_was_measured_the_report_says_so() -> None:
    assert gpus.NOT_MEASURED in report.write(results(), FULL)


def test_the_results_kept_beside_the_code_have_a_section_on_gpus() -> None:
    assert RESULTS.read_text(encoding="utf-8").count(f"\n{gpus.TITLE}") == 1


def test_shares_are_of_the_best_matrix_product_that_was_measured() -> None:
    text = report.write(
        results(
            gpu_ceiling=[ceiling(15_000), ceiling(20_000, "PyTorch")],
            gpu_network=[engine("", 128, 12_000), engine("NHWC", 128, 9_000)],
            gpu_peers=[
                Row("pytorch-bfloat16", "PyTorch", rates=[5e3], precision="bfloat16", batch=128)
            ],
        ),
        FULL,
    )
    assert gpus.NOT_MEASURED not in text
    assert "Some Card with 80 GiB" in text
    assert table(text, "images/s at the most")["bfloat16"]["images/s at the most"] == "20,000.0"
    assert table(text, "best, of the ceiling")["bfloat16"]["best, of the ceiling"] == "60%"
    beside = table(text, "of the ceiling")
    assert {way: line["of the ceiling"] for way, line in beside.items()} == {
        "vggfeat, bfloat16": "60%",
        "PyTorch": "25%",
    }


def test_the_engines_own_compilation_stands_beside_all_others() -> None:
    rows = [engine("", 128, 12_000), engine("NHWC, XLA", 128, 11_000), engine("", 64, 10_000)]
    line = table(report.write(results(gpu_network=rows), FULL), "NHWC, XLA")["bfloat16"]
    assert line["as it is"] == "12,000.0"
    assert line["NHWC, XLA"] == "11,000.0"
    assert line["NCHW"] == "-"


def test_a_run_over_photographs_is_held_against_what_is_slower() -> None:
    decoding = Row(DECODING, "decoding alone", images=20_000, rates=[4_000])
    run = Row(
        "extract",
        "vggfeat extract, bfloat16",
        images=20_000,
        rates=[1_000],
        seconds=[16.25],
        first=[10],
        steady=[3_200],
        peaks=[1],
        precision="bfloat16",
        batch=128,
        limited_by="decoding",
    )
    network = [engine("", 128, 12_800), engine("", 256, 99_000)]
    text = report.write(results(gpu_files=[decoding, run], gpu_network=network), FULL)
    line = table(text, "of the possible")["bfloat16"]
    assert line["images/s, second half"] == "3,200.0"
    assert line["of the possible"] == "80%"
    assert line["the card waits"] == "75%"
    assert line["held up by"] == "decoding"


def test_what_was_ready_at_the_first_vectors_does_not_make_a_run_faster() -> None:
    """A tenth is there at once, the rest at 100 bytes/s."""
    seen = [(10.0, 1_000), (12.0, 5_000), (52.0, 9_000), (62.0, 10_000)]
    assert in_second_half(seen) == 100
    assert in_second_half(seen[:1]) is None
    assert in_second_half([]) is None


def test_what_could_not_be_measured_has_its_reason_once() -> None:
    whole = [Row("keras", f"Keras {n}", batch=128, failed="no GPU") for n in (1, 2)]
    large = engine("", 256, 0)
    large.rates, large.failed = [], "out of memory"
    rows = [engine("", 128, 12_000), large]
    text = report.write(results(gpu_network=rows, gpu_peers=whole), FULL)
    assert "Not measured: Keras 1; Keras 2: no GPU.\n" in text
    assert "Not measured: vggfeat, bfloat16, batches of 256: out of memory.\n" in text


def test_what_is_not_measured_anew_stays_in_the_report() -> None:
    processors = results(csv=[Row(form, form, seconds=[1], rates=[2]) for form in ("npy", "csv")])
    card = results(gpu_ceiling=[ceiling(20_000)])
    both = report.write(card, FULL, report.write(processors, FULL))
    assert "## CSV beside .npy" in both
    assert "20,000.0" in both
    assert report.write(processors, FULL, both) == both


def test_gpus_are_measured_only_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "cards", list)
    monkeypatch.setattr(gpu, "usable", lambda: False)
    monkeypatch.setattr(gpu, "why_not", lambda: None)
    assert "gpu_network" not in bench.tables(arguments.parse(None, []))
    assert "the tables of GPUs are left out: there is none" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="there is no GPU here"):
        bench.tables(arguments.parse(None, ["--tables", "6"]))
    tried = arguments.parse(None, ["--tables", "6", "--quick", "--on-cpu"])
    assert "gpu_network" in bench.tables(tried)


def test_figures_of_processors_are_never_taken_for_those_of_a_gpu() -> None:
    with pytest.raises(SystemExit):
        arguments.parse(None, ["--on-cpu"])
