"""What a program in a process of its own has of the process that runs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import vggfeat
from vggfeat import limited


def test_it_has_the_package_of_its_parent_although_that_found_it_where_it_stood(
    tmp_path: Path,
) -> None:
    home = Path(vggfeat.__file__).parent
    copy = tmp_path / "copy" / "vggfeat"
    copy.mkdir(parents=True)
    for name in ("__init__.py", "limited.py"):
        shutil.copy(home / name, copy)
    child = tmp_path / "child.py"
    child.write_text("import vggfeat; print(vggfeat.__file__)")
    parent = (
        "import os; from pathlib import Path; from vggfeat import limited; os.chdir('/');"
        f"print(limited.run(Path({str(child)!r}), [], b'', 60).answer.decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], cwd=copy.parent, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == str(copy / "__init__.py")


def test_it_gets_its_arguments_and_input_and_tells_its_answer_and_code(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nsys.stdout.write(sys.stdin.read() + repr(sys.argv[1:]))\nsys.exit(9)"
    )
    expected = limited.Ended(9, b"given['a', 'b']")
    assert limited.run(program, ["a", "b"], b"given", 60) == expected
    (tmp_path / "given").write_bytes(b"given")
    with open(tmp_path / "given", "rb") as file:
        assert limited.run(program, ["a", "b"], file, 60) == expected


def test_limits_only_ever_become_lower(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import resource as r; from vggfeat.limited import limit\n"
        "r.setrlimit(r.RLIMIT_CPU, (40, 1000))\n"
        "r.setrlimit(r.RLIMIT_FSIZE, (r.RLIM_INFINITY, r.RLIM_INFINITY))\n"
        "limit(60, 1 << 33, RLIMIT_FSIZE=7)\n"
        "print(r.getrlimit(r.RLIMIT_CPU), r.getrlimit(r.RLIMIT_FSIZE)[0])"
    )
    assert limited.run(program, [], b"", 60) == limited.Ended(0, b"(40, 1000) 7\n")
