"""Attempts forked from a zygote: they keep the runtime's contract, and look like cold starts from within."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from simulator.core.job import CheckpointConfig, TrainingJob
from simulator.runtimes.port import AttemptSpec, Runtime
from simulator.runtimes.process import Isolation, ProcessRuntime, ZygoteRuntime, best_isolation
from simulator.runtimes.process.isolation import building, problem_with
from simulator.runtimes.process.runtime import CODE
from tests.runtimes.contract import RuntimeContract, ShutInContract
from tests.runtimes.process_hosts import ProcessHostsContract

NOTHING: Mapping[str, str] = MappingProxyType({})
TRAIN = Path(__file__).parents[2] / "train"


class _Zygotes:
    @pytest.fixture(autouse=True)
    def forks(self, runtime: ZygoteRuntime) -> Iterator[None]:
        yield
        assert runtime.cold_because == ""


class _InNamespaces(_Zygotes):
    @pytest.fixture
    def runtime(self) -> Iterator[ZygoteRuntime]:
        if os.geteuid() != 0 or problem_with(Isolation.NAMESPACES):
            pytest.skip("needs root and namespaces")
        runtime = ZygoteRuntime(isolation=Isolation.NAMESPACES)
        yield runtime
        runtime.close()


class _InUserNamespaces(_Zygotes):
    @pytest.fixture
    def runtime(self) -> Iterator[ZygoteRuntime]:
        if problem_with(Isolation.USER_NAMESPACES):
            pytest.skip("user namespaces are not allowed here")
        runtime = ZygoteRuntime(isolation=Isolation.USER_NAMESPACES)
        yield runtime
        runtime.close()


class TestNamespaces(_InNamespaces, ShutInContract):
    pass


class TestUserNamespaces(_InUserNamespaces, ShutInContract):
    pass


class TestHostsInNamespaces(_InNamespaces, ProcessHostsContract):
    pass


class TestHostsInUserNamespaces(_InUserNamespaces, ProcessHostsContract):
    pass


class TestPlain(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> ZygoteRuntime:
        return ZygoteRuntime(isolation=Isolation.PLAIN)


@pytest.fixture(scope="module")
def runtimes() -> Iterator[tuple[ProcessRuntime, ZygoteRuntime]]:
    if best_isolation() is Isolation.PLAIN:
        pytest.skip("there is nothing to fork into without namespaces")
    zygotes = ZygoteRuntime()
    yield ProcessRuntime(), zygotes
    zygotes.close()


def run(
    runtime: Runtime, folder: Path, script: str, environment: Mapping[str, str] = NOTHING, **files: str
) -> tuple[int | None, list[str]]:
    """Exit code and output of a script, with other files beside it."""
    name = type(runtime).__name__
    source = folder / name / "source"
    instance = folder / name / "instance"
    for path, text in {"train.py": script, **files}.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    (instance / "checkpoints").mkdir(parents=True)
    job = TrainingJob(
        "a-job",
        CheckpointConfig("s3://bucket/p"),
        source_dir=source,
        entry_script="train.py",
        Environment=environment,
    )
    (running,) = runtime.start([AttemptSpec(job, "run", 1, "algo-1", instance, instance / "checkpoints")])
    lines = [line.decode() for line in running.log_lines()]
    code = running.wait(60)
    assert running.wipe() == []
    assert list((folder / name).iterdir()) == [source]
    return code, lines


ALIKE = {
    "what Python tells of the script": """
import json, os, sys
import __main__
print(sys.argv, sys.orig_argv, sys.path, sys.executable, sys.prefix, sys.flags)
print(__name__, __file__, __spec__, __package__, __doc__, type(__loader__), sorted(vars(__main__)))
print(os.getcwd(), os.getpid(), os.getppid(), sorted(os.environ.items()))
print(os.path.realpath("/proc/self/exe"), open("/proc/self/cmdline").read(), open("/proc/self/comm").read())
print(sys.stdin.read() == "", sys.stdout.isatty(), sys.stdout.line_buffering, sys.stdout.encoding)
print(sys.stdout.seekable(), sys.stdout.errors, sys.stderr.line_buffering, sys.stderr.errors)
print(sorted(os.listdir("/proc/self/fd")), os.umask(0), [name for name in os.listdir("/proc") if name.isdigit()])
print(sorted(os.listdir("/")), sorted(os.listdir("/opt/ml")), os.listdir("/tmp"), os.listdir("/opt/ml/checkpoints"))
print(open("/proc/self/mountinfo").read().count("overlay") > 3, os.uname().nodename)
""",
    "how signals are disposed": """
import signal
print([(s.name, str(signal.getsignal(s))) for s in signal.valid_signals() if isinstance(s, signal.Signals)])
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
MINE = ("SigPnd", "SigBlk", "SigIgn", "SigCgt", "ShdPnd", "Threads", "NSpid")  # and not SigQ, which is the user's
print([line for line in open("/proc/self/status") if line.startswith(MINE)])
""",
    "an uncaught error": """
import numpy
def deep():
    raise ValueError("no such weights")
deep()
""",
    "an error with a cause, in another module": "import helper\nhelper.fail()\n",
    "a syntax error": "import numpy\nprint(1\n",
    "a module that is not there": "import os\nimport no_such_module\n",
    "SystemExit with a message": "import sys\nsys.exit('giving up')\n",
    "SystemExit with a number, out of a thread's life": """
import sys, threading, time, atexit
atexit.register(lambda: print("at exit"))
threading.Thread(target=lambda: (time.sleep(0.3), print("the thread is done"))).start()
sys.exit(3)
""",
    "os._exit": "import os\nprint('unflushed?')\nos._exit(9)\n",
    "killed by its own signal": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nprint('PID 1 is safe')\n",
    "SIGTERM by default, to a child": """
import os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
child.terminate()
print(child.wait())
""",
    "classes of __main__, pickled, across processes": """
import multiprocessing, pickle, sys
class Weights:
    def __init__(self, value): self.value = value
def double(weights): return Weights(2 * weights.value)
if __name__ == "__main__":
    assert type(pickle.loads(pickle.dumps(Weights(1)))) is Weights
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, [weights.value for weights in pool.map(double, [Weights(1), Weights(2)])])
    print(pickle.dumps(Weights(1)))
""",
    "a program that it starts": """
import subprocess, sys
print(subprocess.run([sys.executable, "-c", "import sys, os; print(sys.path, sorted(os.environ))"],
                     capture_output=True, text=True).stdout)
""",
    "variables that it sets before its imports": """
import os
print(os.environ.get("OMP_NUM_THREADS"), os.environ.get("PYTHONPATH"))
os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy
print(os.environ["OMP_NUM_THREADS"], sorted(name for name in os.environ if "SPOT" in name))
""",
    "modules beside the script": """
import helper, package.part
from package import part as again
print(helper.__file__, package.part is again, helper.SEEN)
""",
    "its own module by the name of one of Python's": "import json\nprint(json.OURS)\n",
    "the frames below it": "import inspect\nprint([(f.filename, f.function) for f in inspect.stack()])\n",
}
BESIDE = {
    "helper.py": "import os\nimport numpy\nSEEN = sorted(os.listdir('/opt/ml'))\n"
    "def fail():\n    try:\n        {}['x']\n    except KeyError as error:\n        raise OSError('lost') from error\n",
    "package/__init__.py": "",
    "package/part.py": "from . import other\n",
    "package/other.py": "print('imported', __name__)\n",
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_fork_is_like_a_cold_start(name: str, runtimes: tuple[ProcessRuntime, ZygoteRuntime], tmp_path: Path) -> None:
    files = {**BESIDE, **({"json.py": "OURS = 'ours'\n"} if "Python's" in name else {})}
    cold, zygotes = runtimes
    zygotes.cold_because = ""
    expected = run(cold, tmp_path, ALIKE[name], **files)
    assert run(zygotes, tmp_path, ALIKE[name], **files) == expected
    may_be_cold = ("its own module by", "a syntax error")
    assert bool(zygotes.cold_because) == name.startswith(may_be_cold), zygotes.cold_because


FRESH = """
import random, tempfile, uuid
import numpy
print(random.random(), numpy.random.random(), uuid.uuid4(), tempfile.mktemp())
"""


def test_what_is_random_in_each_start_is_random_in_each_fork(
    runtimes: tuple[ProcessRuntime, ZygoteRuntime], tmp_path: Path
) -> None:
    _, (first,) = run(runtimes[1], tmp_path / "1", FRESH)
    _, (second,) = run(runtimes[1], tmp_path / "2", FRESH)
    assert not set(first.split()) & set(second.split())


def test_a_python_path_of_the_jobs_own_is_searched_as_in_a_cold_start(
    runtimes: tuple[ProcessRuntime, ZygoteRuntime], tmp_path: Path
) -> None:
    cold, zygotes = runtimes
    zygotes.cold_because = ""
    files = {"library/usual.py": "import os\nWHERE = os.getcwd(), os.environ['PYTHONPATH']\n"}
    script = "import sys, usual\nprint(usual.WHERE, usual.__file__, sys.path)\n"
    expected = run(cold, tmp_path, script, {"PYTHONPATH": f"{CODE}/library"}, **files)
    assert run(zygotes, tmp_path, script, {"PYTHONPATH": f"{CODE}/library"}, **files) == expected
    assert expected[0] == 0 and zygotes.cold_because == ""


def test_what_imports_print_begins_each_log(runtimes: tuple[ProcessRuntime, ZygoteRuntime], tmp_path: Path) -> None:
    assert run(runtimes[1], tmp_path / "1", "import this")[1][0] == "The Zen of Python, by Tim Peters"
    assert run(runtimes[1], tmp_path / "2", "import this")[1][0] == "The Zen of Python, by Tim Peters"


def test_an_import_that_leaves_a_thread_behind_makes_attempts_start_cold(tmp_path: Path) -> None:
    if best_isolation() is Isolation.PLAIN:
        pytest.skip("there is nothing to fork into without namespaces")
    thread = (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), name='busy', daemon=True).start()\n"
    )
    path = {"PYTHONPATH": f"{CODE}/library"}
    zygotes = ZygoteRuntime()
    script = "import threaded\nprint('done', flush=True)\n"
    assert run(zygotes, tmp_path, script, path, **{"library/threaded.py": thread}) == (0, ["done"])
    assert "busy" in zygotes.cold_because
    assert any("busy" in sentence for sentence in zygotes.fidelity_lost)


def test_a_zygote_that_cannot_fork_leaves_attempts_to_start_cold(tmp_path: Path) -> None:
    if best_isolation() is Isolation.PLAIN:
        pytest.skip("there is nothing to fork into without namespaces")
    zygotes = ZygoteRuntime()
    assert run(zygotes, tmp_path / "1", "print('forked')")[1] == ["forked"]
    (zygote,) = zygotes._zygotes.values()
    assert zygote._process is not None
    zygote._process.end()
    assert run(zygotes, tmp_path / "2", "print('cold')") == (0, ["cold"])
    assert "the zygote did not fork" in zygotes.cold_because
    zygotes.close()


def test_an_instance_that_a_fork_could_not_enter_is_entered_cold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if best_isolation() is Isolation.PLAIN:
        pytest.skip("there is nothing to fork into without namespaces")

    def failing(*arguments: object) -> list[str]:
        build = building(*arguments)  # type: ignore[arg-type]
        return ["/bin/sh", "-c", '"$@"; exit 1', "sh", *build]

    monkeypatch.setattr("simulator.runtimes.process.zygote.building", failing)
    zygotes = ZygoteRuntime()
    assert run(zygotes, tmp_path, "print('cold')") == (0, ["cold"])
    assert "could not be built" in zygotes.cold_because
    zygotes.close()


def test_closing_ends_what_still_runs_and_leaves_nothing(tmp_path: Path) -> None:
    if best_isolation() is Isolation.PLAIN:
        pytest.skip("there is nothing to fork into without namespaces")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/train.py").write_text("import time\ntime.sleep(600)\n")
    (tmp_path / "instance/checkpoints").mkdir(parents=True)
    job = TrainingJob(
        "a-job", CheckpointConfig("s3://bucket/p"), source_dir=tmp_path / "source", entry_script="train.py"
    )
    before = set(Path(tempfile.gettempdir()).glob("spot-simulator-zygote-*"))
    zygotes = ZygoteRuntime()
    spec = AttemptSpec(job, "run", 1, "algo-1", tmp_path / "instance", tmp_path / "instance/checkpoints")
    (running,) = zygotes.start([spec])
    (scratch,) = set(Path(tempfile.gettempdir()).glob("spot-simulator-zygote-*")) - before
    zygotes.close()
    assert running.wait(60) == 137
    assert not scratch.exists()
    assert running.wipe() == []


@pytest.mark.tensorflow
@pytest.mark.slow
def test_keras_trains_bit_by_bit_as_after_a_cold_start(
    runtimes: tuple[ProcessRuntime, ZygoteRuntime], tmp_path: Path
) -> None:
    cold, zygotes = runtimes
    zygotes.cold_because = ""
    files = {path: (TRAIN / path).read_text() for path in ("resumable.py", "data/iris/train.csv")}
    script = (TRAIN / "train.py").read_text().replace("epochs: int = 30", "epochs: int = 3")
    script = script.replace(
        "    model.save(", "    print([w.tobytes().hex() for w in model.get_weights()])\n    model.save("
    )
    took = "{time.monotonic() - started:.3f}"  # how long a save took is no bit of the training
    assert took in files["resumable.py"]
    files["resumable.py"] = files["resumable.py"].replace(took, "")
    expected = run(cold, tmp_path, script, **files)
    forked = run(zygotes, tmp_path, script, **files)
    assert zygotes.cold_because == ""
    assert forked == expected
    assert forked[0] == 0
    assert len(forked[1]) > 30
