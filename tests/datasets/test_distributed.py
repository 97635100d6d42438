"""Builds with Apache Beam give the bytes of a serial build, show their progress, and end if workers fail or hang."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import create_runner
from builds import CLIPS, PORTABLE, TWO_PROCESSES, build, kept_clips
from tqdm.auto import tqdm

import datasets
from datasets import distributed
from datasets.distributed import pipeline_options
from datasets.store import ClipStore
from emogan.config import MediaConfig
from emogan.errors import UserError

ROOT = Path(__file__).parent.parent.parent
IMPATIENT = "import runpy; from datasets import distributed; distributed.SILENCE_SECONDS = 3; "
IMPATIENT += "runpy.run_module('trainers.prepare', run_name='__main__', alter_sys=True)"


def free_port():
    with socket.create_server(("localhost", 0)) as taken:
        return taken.getsockname()[1]


@contextlib.contextmanager
def started(port, *module, **settings):
    """A server process that runs a module and accepts connections."""
    process = subprocess.Popen([sys.executable, "-m", *module], stderr=subprocess.DEVNULL, **settings)
    while True:
        assert process.poll() is None
        with contextlib.suppress(ConnectionError), socket.create_connection(("localhost", port)):
            break
        time.sleep(0.2)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The address of Beam's Python job service."""
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    module = "apache_beam.runners.portability.local_job_service_main"
    with started(port, module, f"--port={port}", f"--staging_dir={folder}", cwd=folder):
        yield f"localhost:{port}"


@contextlib.contextmanager
def pool(elsewhere, programs=Path(sys.executable).parent):
    """A worker pool in another folder that starts the `python` in `programs`: the Beam options that use it, and its process."""
    elsewhere.mkdir()
    port = free_port()
    environment = {"PATH": os.pathsep.join([str(programs), os.environ["PATH"]]), "PYTHONPATH": str(ROOT)}
    settings = {"cwd": elsewhere, "env": os.environ | environment}
    module = "apache_beam.runners.worker.worker_pool_main"
    with started(port, module, f"--service_port={port}", **settings) as process:
        yield f"EXTERNAL,environment_config=localhost:{port}", process
    assert not [*elsewhere.iterdir()]


@pytest.fixture
def here(tiny_corpora, tmp_path, monkeypatch):
    """A working folder with the corpus."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "corpus").symlink_to(tiny_corpora / "crema_d")
    monkeypatch.chdir(folder)
    return folder


def command(options, *interpreted):
    """Starts `trainers.prepare` with relative folders."""
    arguments = ["--dataset=crema_d_av", "--manual_dir=corpus", "--data_dir=data", f"--beam_pipeline_options={options}"]
    settings = {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *(interpreted or ("-m", "trainers.prepare")), *arguments], **settings)


def error_of(process):
    """The error message of a command that fails with exit code 2, without Beam's output."""
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 2, errors
    (message,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    return message


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["LOOPBACK", "EXTERNAL"])
def test_a_job_service_and_workers_in_another_folder_change_no_byte(
    environment, service, here, built, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr(distributed, "_LOOK_SECONDS", 0.1)
    with contextlib.ExitStack() as stack:
        if environment == "EXTERNAL":
            environment, _ = stack.enter_context(pool(tmp_path / "elsewhere"))
        beam = PORTABLE.format(job=service, environment=environment)
        assert build(Path("corpus"), Path("data"), beam=beam, progress=True) == built
    assert len(kept_clips(here / "data")) == CLIPS
    shown = capfd.readouterr().err
    for task in ("decoding clips", "writing examples"):
        counts = [int(count) for count in re.findall(rf"{task}: .* (\d+)/{CLIPS} ", shown.replace("\r", "\n"))]
        assert (counts[0], counts[-1]) == (0, CLIPS)
        assert counts == sorted(counts)
        assert task == "writing examples" or len({*counts}) > 3


@pytest.mark.slow
def test_a_killed_worker_ends_the_build_and_the_same_command_resumes(service, here, built, tmp_path):
    with pool(tmp_path / "elsewhere") as (environment, process):
        options = PORTABLE.format(job=service, environment=environment)
        first = command(options)
        while len(kept_clips(here / "data")) < 0.2 * CLIPS:
            assert first.poll() is None
            time.sleep(0.1)
        threads = Path(f"/proc/{process.pid}/task")
        (worker,) = [child for path in threads.glob("*/children") for child in path.read_text().split()]
        os.kill(int(worker), signal.SIGKILL)
        message = error_of(first)
        assert re.fullmatch(
            rf"error: Beam failed \(.+\); \d+ of {CLIPS} clips are not done, such as 10\d\d_\w+;.*", message
        )
        before = kept_clips(here / "data")
        assert build(Path("corpus"), Path("data"), beam=options) == built
    assert before.items() <= kept_clips(here / "data").items()
    assert not [*here.glob("data/clips/outcomes_*"), *here.glob("data/crema_d_av/64/incomplete*")]


@pytest.mark.slow
def test_a_build_whose_workers_do_not_start_ends(here, tmp_path):
    (programs := tmp_path / "programs").mkdir()
    (programs / "python").symlink_to("/bin/false")  # like a Python without Beam
    with pool(tmp_path / "elsewhere", programs) as (environment, _):
        process = command(PORTABLE.format(job="embed", environment=environment), "-c", IMPATIENT)
        message = error_of(process)
    assert message.startswith(f"error: Beam's workers finished no clip for 3 s; {CLIPS} of {CLIPS} clips are not done")
    assert not [*here.glob("data/clips/*"), *here.glob("data/crema_d_av/64/*")]


def test_a_build_without_a_job_service_ends(here, tiny_data):
    (here / "data").mkdir()
    (here / "data" / "clips").symlink_to(tiny_data / "clips")
    beam = PORTABLE.format(job=f"localhost:{free_port()},job_server_timeout=1", environment="EXTERNAL")
    with pytest.raises(UserError, match=rf"job service did not answer.* {CLIPS} of {CLIPS} clips"):
        build(Path("corpus"), Path("data"), beam=f"{beam},environment_config=localhost:1")


def test_the_bar_shows_noted_clips_and_silence_ends_a_build(tiny_corpora, tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "SILENCE_SECONDS", 2.0)
    monkeypatch.setattr(distributed, "_LOOK_SECONDS", 0.05)
    builder = datasets.BUILDERS["crema_d_av"](data_dir=tmp_path / "data")
    clips = builder.list_clips(tiny_corpora / "crema_d").splits["fold_0"][:3]
    build = distributed.Build(pipeline_options("runner=DirectRunner"), ClipStore.of(tmp_path, MediaConfig.of_size(64)))
    counts = []

    def work():
        do_fn = distributed._NotingDoFn(build._track(clips, bar).folder)
        for number, clip in enumerate(clips[:2], 1):
            do_fn.note(clip)
            while bar.n < number:
                time.sleep(0.01)
            counts.append(bar.n)
        threading.Event().wait()

    with tqdm(total=3) as bar, pytest.raises(UserError, match=rf"2 s; 1 of 3 clips .* {clips[2].clip_id};"):
        build.run(work)
    assert counts == [1, 2]
    assert not [*tmp_path.iterdir()]


def test_missing_outcomes_are_named(tiny_corpora, tiny_data, tmp_path, monkeypatch):
    """As if each worker had its own disk under the path of the shared folder."""
    (tmp_path / "clips").symlink_to(tiny_data / "clips")
    monkeypatch.setattr(distributed._PrepareClip, "process", lambda self, numbered: iter(()))
    with pytest.raises(UserError, match=rf"{CLIPS} of {CLIPS} clips, such as 10\d\d_\w+, .* {tmp_path}/clips;"):
        build(tiny_corpora / "crema_d", tmp_path, beam="runner=DirectRunner")


def test_unknown_options_are_refused():
    with pytest.raises(UserError, match="Beam does not know direct_num_wrokers"):
        pipeline_options("runner=DirectRunner,direct_num_wrokers=2")


@pytest.mark.parametrize("text", ["runner=DirectRunner", "direct_num_workers=2"])
def test_beam_downloads_no_other_runner(text):
    assert type(create_runner(pipeline_options(text).view_as(StandardOptions).runner)) is FnApiRunner


def test_a_runner_that_would_start_a_job_service_is_refused():
    with pytest.raises(UserError, match="job_endpoint=HOST:PORT"):
        pipeline_options("runner=FlinkRunner,flink_master=localhost:8081")
    pipeline_options("runner=FlinkRunner,job_endpoint=localhost:8099")


@pytest.mark.slow
@pytest.mark.parametrize("beam", ["runner=DirectRunner", TWO_PROCESSES])
def test_beam_changes_no_byte(tiny_corpora, built, tmp_path, beam):
    (corpus := tmp_path / "corpus").mkdir()
    for part in (tiny_corpora / "crema_d").iterdir():
        (corpus / part.name).symlink_to(part)
    assert build(corpus, tmp_path / "data", beam=beam) == built
