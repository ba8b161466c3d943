"""What more photographs and more cores cost: time and memory of the ncnn engine."""

from __future__ import annotations

from tests.benchmarks import machine
from tests.benchmarks.folder import Folder
from tests.benchmarks.measured import cores
from tests.benchmarks.photographs import add
from tests.benchmarks.plan import Plan
from tests.benchmarks.process import FailedError, run
from tests.benchmarks.results import Row, Table
from tests.benchmarks.ways import NCNN


def measure(folder: Folder, plan: Plan) -> Table:
    everything = machine.cores()
    runs = [(everything, count) for count in plan.cost_all]
    if len(everything) > 1 and machine.CAN_BIND:
        runs += [(everything[:1], count) for count in plan.cost_one]
    rows = []
    for cpus, count in sorted(runs, key=lambda pair: (pair[1], len(pair[0]))):
        row = Row(NCNN.name, NCNN.label, images=count, cores=len(cpus))
        output = folder.fresh_output("cost")
        command = NCNN.files(folder, folder.photographs("500x375", count), output)
        try:
            add(row, run(command, output, cpus if len(cpus) < len(everything) else None))
        except FailedError as error:
            row.failed = str(error)
        told = row.failed or f"{row.seconds[0]:.2f} s, {row.peaks[0] / 1e9:.2f} GB"
        print(f"{count} photographs, {cores(len(cpus))}: {told}", flush=True)
        rows.append(row)
    return Table(rows)
