"""Code shared by all commands: paths, number of CPUs, flagfiles, messages of libraries, folders for their caches."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMANDS

from emogan.path_flags import PathParser

ROOT = Path(__file__).parent.parent.parent


def run_script(text, *arguments, **settings):
    settings["env"] = {**os.environ, "PYTHONPATH": str(ROOT), **settings.get("env", {})}
    return subprocess.run([sys.executable, "-c", text, *arguments], capture_output=True, text=True, **settings)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("~", "/home/ann"), ("~/a b/c", "/home/ann/a b/c"), ("sub/../x", "{here}/sub/../x"), ("/a/b/", "/a/b"),
        ("", ""), ("https://host/a", "https://host/a"), ("~nobody-here/x", "{here}/~nobody-here/x"),
    ],
)  # fmt: skip
def test_a_path_is_absolute(tmp_path, monkeypatch, given, expected):
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.chdir(tmp_path)
    assert PathParser().parse(given) == expected.format(here=tmp_path)


FLAGS = """
import importlib, os, sys
from importlib.util import find_spec
from absl import flags

def tell(command):
    name = f"{command}.__main__" if find_spec(command).submodule_search_locations else command
    importlib.import_module(name)
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        for flag in defined if module.partition(".")[0] in ("emogan", "datasets", "trainers") else ():
            try:
                read = str(flag.parser.parse("~/here"))
            except (ValueError, TypeError):  # a number or an enumeration
                continue
            print(command, flag.name, "text" if "~" in read else "path" if "/home/ann/here" in read else read)

for command in sys.argv[1:]:
    if not os.fork():  # a process for each command's flags
        tell(command)
        sys.exit()
    assert os.wait()[1] == 0
"""
TEXT = {
    "emogan.client": {"server", "model", "emotion"},
    "emogan.page": {"host"},
    "datasets.synthetic": {"frame_size", "seconds"},
    "trainers.augment": {"dataset", "emotions"},
    "trainers.generate": {"emotion"},
    "trainers.prepare": {"config", "beam_pipeline_options"},
    "trainers.progressive": {"dataset", "pretrain_dataset"},
    "trainers.table1": {
        "dataset", "pretrain_dataset", "datasets", "folds", "seeds", "cases", "shares", "low_data", "only",
    },
}  # fmt: skip
"""Flags that take text other than a path."""


def test_every_path_flag_is_made_absolute():
    done = run_script(FLAGS, *COMMANDS, env={"HOME": "/home/ann"})
    assert done.returncode == 0, done.stderr
    found = {kind: set() for kind in ("path", "text")}
    for line in done.stdout.splitlines():
        command, name, kind = line.split(" ", 2)
        found[kind].add((command, name))
    assert found["text"] == {(command, name) for command, names in TEXT.items() for name in names}
    assert {command for command, _ in found["path"]} == {*COMMANDS}
    assert {("emogan.page", "model"), ("trainers.table1", "pretrained"), ("trainers.export", "run")} <= found["path"]


def test_a_list_of_paths_is_made_absolute(tmp_path):
    script = """
from absl import flags
import trainers.compare_studies as command
flags.FLAGS(["", "--studies=~/one,two", "--output_dir=out"])
print(*command._STUDIES.value, command._OUTPUT_DIR.value)
"""
    done = run_script(script, cwd=tmp_path, env={"HOME": "/home/ann"})
    assert done.stdout.split() == ["/home/ann/one", f"{tmp_path}/two", f"{tmp_path}/out"], done.stderr


def test_cpu_count_respects_the_affinity():
    script = "import os; from emogan.command import cpu_count; os.sched_setaffinity(0, {cpu}); print(cpu_count())"
    one = next(iter(os.sched_getaffinity(0)))
    assert run_script(script.format(cpu=[one])).stdout == "1\n"
    everything = run_script("from emogan.command import cpu_count; print(cpu_count())").stdout
    assert 1 <= int(everything) <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize("flag", ["--flagfile=demo.flags", "--flagfile trainers/configs/demo.flags"])
def test_a_shipped_flagfile_is_found_from_anywhere(tmp_path, flag):
    done = subprocess.run(
        [sys.executable, "-m", "trainers.progressive", *flag.split(), "--preset=none"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "--preset=none" in done.stderr  # flags after the file are parsed


def test_an_own_flagfile_has_priority_and_a_missing_one_is_named(tmp_path):
    (tmp_path / "demo.flags").write_text("--preset=mine\n")
    for name, word in (("demo.flags", "--preset=mine"), ("nowhere.flags", "nowhere.flags")):
        done = subprocess.run(
            [sys.executable, "-m", "trainers.progressive", f"--flagfile={name}"],
            capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert (done.returncode, word in done.stderr) == (2, True)


SPEAKING = """
import multiprocessing, warnings
from emogan import command
def speak(where):
    for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
        warnings.warn(f"of a library, {where}", category)
    warnings.warn(f"of ours, {where}")
def main(_):
    from datasets.processes import Process
    speak("here")
    process = Process(int)
    process.run(speak, "there", 60)
    process.run(resample, None, 60)
    process.end()
def resample(_):
    import numpy as np
    from emogan import audio
    audio.resample(np.zeros(1000, np.float32), 8000, 16000)
if __name__ == "__main__":
    command.run(main)
"""


def test_our_warnings_are_shown_and_those_of_libraries_are_not(tmp_path):
    (tmp_path / "speaking.py").write_text(SPEAKING)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, "-m", "speaking"], capture_output=True, text=True, cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    warned = re.findall(r"\w*Warning: .*", done.stderr)
    assert warned == ["UserWarning: of ours, here", "UserWarning: of ours, there"]
    assert "WARNING" not in done.stderr


@pytest.mark.parametrize(("encoding", "printed"), [("utf-8", "高兴 \\udcff"), ("ascii", r"\u9ad8\u5174 \udcff")])
def test_names_that_the_terminal_cannot_show_are_escaped(encoding, printed):
    """File names may be in any script, or not valid text."""
    code = "from emogan import command; command.run(lambda _: print('高兴 \\udcff'))"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert done.stdout.decode(encoding).strip() == printed


CACHING = """
import os, subprocess, sys
from emogan import command

def twice(number):
    return 2 * number

def main(_):
    import numba
    numba.njit(cache=True)(twice)
    print(os.environ["HOME"], flush=True)
    drawing = "from matplotlib import get_cachedir, pyplot; print(get_cachedir())"
    subprocess.run([sys.executable, "-c", drawing], check=True)  # in a process without `quiet`

command.run(main)
"""


@pytest.mark.parametrize(
    "state",
    [
        "a home",
        "no folder",
        "read-only caches",
        "no place for caches",
        "read-only settings",
        "matplotlib's of another user",
    ],
)
def test_libraries_with_caches_need_no_writable_home(tmp_path, state):
    """With a read-only installation. As root may write everywhere, files in place of folders stand for read-only folders."""
    home = tmp_path / "home"
    if state == "no folder":
        home.write_text("")
    else:
        home.mkdir()
    if state == "read-only caches":
        (home / ".cache").write_text("")
    if state == "read-only settings":
        (home / ".config").write_text("")
    if state == "matplotlib's of another user":
        for name in (".cache", ".config"):
            (home / name).mkdir()
            (home / name / "matplotlib").write_text("")
    script = tmp_path / "script.py"
    script.write_text(CACHING)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL", "NUMBA"))}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT), "NUMBA_CACHE_LOCATOR_CLASSES": "UserWideCacheLocator"}
    environment["TMPDIR"] = str(tmp_path)
    if state == "no place for caches":
        environment["XDG_CACHE_HOME"] = "/dev/null/caches"
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    used, caches = map(Path, done.stdout.splitlines())
    assert (used == home) == (state != "no folder")
    assert caches.is_relative_to(home) == (state in ("a home", "read-only settings"))
    assert caches.is_relative_to(tmp_path)
    assert not [*tmp_path.glob("emogan-*")]  # temporary folders are deleted


@pytest.mark.parametrize("name", ["emogan.UserError", "trainers.run"])
def test_the_library_needs_no_writable_home(tmp_path, name):
    script = tmp_path / "script.py"
    script.write_text(f"import emogan, trainers\n{name}\nimport numba\nnumba.njit(cache=True)(lambda number: number)\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL", "NUMBA"))}
    environment |= {"HOME": "/dev/null/home", "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    environment["NUMBA_CACHE_LOCATOR_CLASSES"] = "UserWideCacheLocator"  # as if the installation were not writable
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not [*tmp_path.glob("emogan-*")]


ANEW = """
import os, pathlib
from emogan import command

def main(_):
    print(os.environ["HOME"])
    if not pathlib.Path("begun").exists():
        pathlib.Path("begun").touch()
        command.start_anew()

command.run(main)
"""


@pytest.mark.parametrize("has_home", [True, False])
def test_a_restarted_command_deletes_its_temporary_folders(tmp_path, has_home):
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    home.mkdir() if has_home else home.write_text("")
    done = run_script(ANEW, cwd=tmp_path, env={"HOME": str(home), "TMPDIR": str(temporary)})
    assert (done.returncode, done.stderr) == (0, "")
    used = done.stdout.splitlines()
    assert used == [str(home)] * 2 if has_home else len({str(home), *used}) == 3
    assert not [*temporary.iterdir()]


@pytest.mark.parametrize(("limit", "code"), [("unlimited", 0), ("0", 2)])
def test_no_folder_for_temporary_files_is_one_line(limit, code):
    """ulimit -f limits the size of files that a process writes."""
    script = "from emogan import command; command.run(lambda _: None)"
    limited = ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "bash", sys.executable, "-c", script]
    done = subprocess.run(limited, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == code
    assert [line.startswith("error: ") and "TMPDIR" in line for line in done.stderr.splitlines()] == [True] * (
        code != 0
    )
