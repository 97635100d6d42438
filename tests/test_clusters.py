"""The examples for clusters are valid: TF_CONFIG lists all processes, and our commands and Beam know the options."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from builds import PORTABLE, TWO_PROCESSES
from documents import PAGES, ROOT

from datasets.distributed import pipeline_options
from trainers.runs import devices

SBATCH = ROOT / "docs" / "clusters" / "train.sbatch"
SERVICE, JOB = yaml.safe_load_all((ROOT / "docs" / "clusters" / "train.yaml").read_text())
POD = JOB["spec"]["template"]["spec"]
PYTHON = """
import json, os, sys
from pathlib import Path
with Path("started.jsonl").open("a") as file:
    file.write(json.dumps([os.environ["TF_CONFIG"], sys.argv[1:]]) + "\\n")
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A function that adds a program to the PATH. `python` records its TF_CONFIG and arguments in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/.venv/bin{os.pathsep}{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def add(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    add(".venv/bin/python", f"#!{sys.executable}{PYTHON}")
    return add


def started(monkeypatch):
    """The hosts, index and arguments of each started process, as read from its TF_CONFIG by `trainers`."""
    found = []
    for line in Path("started.jsonl").read_text().splitlines():
        config, arguments = json.loads(line)
        monkeypatch.setenv("TF_CONFIG", config)
        found.append((*devices._tf_config(), arguments))
    return found


def assert_known(arguments, run_command):
    assert arguments[:2] == ["-m", "trainers.progressive"]
    known = run_command("trainers.progressive", "--help").stdout
    for name, _, value in (flag.removeprefix("--").partition("=") for flag in arguments[2:]):
        if name == "flagfile":
            assert (ROOT / "trainers" / "configs" / Path(value).name).exists()
        else:
            assert re.search(rf"(?m)^  --{name}\b", known), name


def test_the_processes_of_a_slurm_job_find_each_other(programs, monkeypatch, run_command):
    programs("scontrol", '#!/bin/sh\n[ "$*" = "show hostnames node[07-08]" ] && printf "node07\\nnode08\\n"\n')
    programs("srun", '#!/bin/sh\nfor SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@" || exit; done\n')
    monkeypatch.setenv("SLURM_JOB_NODELIST", "node[07-08]")
    subprocess.run(["bash", "-n", SBATCH], check=True)
    subprocess.run(["bash", SBATCH], check=True)
    nodes = ["node07:2222", "node08:2222"]
    (*first, arguments), (*second, same) = started(monkeypatch)
    assert (first, second, same) == ([nodes, 0], [nodes, 1], arguments)
    assert_known(arguments, run_command)
    settings = dict(re.findall(r"(?m)^#SBATCH --([\w-]+)=(\S+)$", SBATCH.read_text()))
    assert (settings["nodes"], settings["ntasks-per-node"]) == ("2", "1")


def test_the_pods_of_a_kubernetes_job_find_each_other(programs, monkeypatch, run_command):
    (container,) = POD["containers"]
    count = JOB["spec"]["completions"]
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    for index in range(count):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", str(index))
        subprocess.run([*container["command"], *container["args"]], check=True)
    name, (port,) = JOB["metadata"]["name"], SERVICE["spec"]["ports"]
    hosts = [f"{name}-{index}.{POD['subdomain']}:{port['port']}" for index in range(count)]
    found = started(monkeypatch)
    assert [one[:2] for one in found] == [(hosts, index) for index in range(count)]
    assert_known(found[0][2], run_command)


def test_the_kubernetes_job_fits_its_service_and_volume():
    assert (SERVICE["kind"], SERVICE["spec"]["clusterIP"]) == ("Service", "None")
    assert SERVICE["metadata"]["name"] == POD["subdomain"]
    assert SERVICE["spec"]["selector"] == {"job-name": JOB["metadata"]["name"]}
    assert (JOB["kind"], JOB["spec"]["completionMode"]) == ("Job", "Indexed")
    assert JOB["spec"]["parallelism"] == JOB["spec"]["completions"]
    (container,), (volume,) = POD["containers"], POD["volumes"]
    (mount,) = container["volumeMounts"]
    assert mount["name"] == volume["name"]
    for folder in re.findall(r"--\w+_dir=(\S+)", container["args"][0]):
        assert folder.startswith(f"{mount['mountPath']}/")


def test_beam_knows_the_options_of_each_runner():
    table = re.search(r"\| runner \|(?:.+\n)+", PAGES["docs/clusters.md"])[0]
    rows = dict(re.findall(r"(?m)^\|.+\| `(runner=\S+)` \| (yes|no)\b", table))
    assert len(rows) > 5
    for options in rows:
        pipeline_options(options)
    environments = "LOOPBACK", "EXTERNAL,environment_config=localhost:50000"
    tried = {PORTABLE.format(job="localhost:8099", environment=environment) for environment in environments}
    assert {options for options, ran in rows.items() if ran == "yes"} == {TWO_PROCESSES, *tried}
