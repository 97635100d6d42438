"""What a user without the right Python is told, and that the lock and the ranges agree."""

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from uv import find_uv_bin

ROOT = Path(__file__).parent.parent


def make(project, programs, *settings, **variables):
    """Runs make's installation with only these programs on the PATH, and only these variables."""
    environment = {"PATH": str(programs), "HOME": str(project.parent / "home"), **variables}
    command = [shutil.which("make"), ".venv/installed", *settings]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def says_one_sentence(made):
    """Whether it fails, with one line besides make's own."""
    lines = [line for line in f"{made.stdout}{made.stderr}".splitlines() if not line.startswith("make: ")]
    return made.returncode != 0 and len(lines) == 1 and lines[0].startswith("emogan needs Python 3.11 (TensorFlow 2.15")


@pytest.fixture
def programs(tmp_path):
    """A folder for the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "touch").symlink_to(shutil.which("touch"))
    return folder


@pytest.mark.parametrize("given", ["nothing", "uv", "PYTHON=python9.9"])
def test_without_python_311_make_prints_one_sentence(tmp_path, programs, given):
    for name in ("Makefile", "requirements.lock", "setup.py", "install.py"):
        shutil.copy(ROOT / name, tmp_path)
    if given == "uv":
        (programs / "uv").symlink_to(find_uv_bin())
    variables = {"UV_PYTHON_DOWNLOADS": "never", "UV_PYTHON_INSTALL_DIR": str(tmp_path)}
    assert says_one_sentence(make(tmp_path, programs, *(word for word in [given] if "=" in word), **variables))


@pytest.fixture
def install():
    """install.py as a module."""
    location = importlib.util.spec_from_file_location("install", ROOT / "install.py")
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_what_the_commands_import_is_kept_compiled(install, monkeypatch, tmp_path):
    monkeypatch.setattr(install, "VENV_PYTHON", sys.executable)
    install.keep_compiled({**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)})
    compiled = {path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")}
    assert {"generation", "pipeline", "running", "polymorphic_function", "convert"} <= compiled
    assert len(list(tmp_path.rglob("*.pyc"))) > 4_000


def test_pip_and_uv_understand_each_other(install):
    """Of each other's settings they get those of places and of the way there."""
    table = """
        no-index = false
        find-links = ["https://a.example/wheels", "/srv/my wheels"]
        allow-insecure-host = ["a.example", "b.example:8080"]
        index = [
            {name = "first", url = "https://a.example/simple"}, {url = "https://b.example/simple?x=y"},
            {url = "https://c.example/simple", default = true}, {name = "d", url = "https://d.example", explicit = true},
        ]
        [pip]
        keyring-provider = "subprocess"
    """
    variables = {
        "UV_FIND_LINKS": "https://a.example/wheels,/srv/my wheels",
        "UV_INDEX": "first=https://a.example/simple https://b.example/simple?x=y",
        "UV_DEFAULT_INDEX": "https://c.example/simple",
        "UV_INSECURE_HOST": "a.example b.example:8080",
        "UV_KEYRING_PROVIDER": "subprocess",
        "UV_NO_INDEX": "false",
    }
    settings = {
        "find-links": "https://a.example/wheels file:///srv/my%20wheels",
        "extra-index-url": "https://a.example/simple https://b.example/simple?x=y",
        "index-url": "https://c.example/simple",
        "trusted-host": "a.example b.example:8080",
        "keyring-provider": "subprocess",
        "no-index": "false",
    }
    found = install.named(install.variables(tomllib.loads(table)))
    assert {name: found[name] for name in variables} == variables
    assert install.for_pip(variables) == settings
    assert install.for_uv(settings) == variables | {
        "UV_FIND_LINKS": settings["find-links"].replace(" ", ","),
        "UV_INDEX": settings["extra-index-url"],
    }
    assert install.for_uv({"keyring-provider": "auto", "cache-dir": "/srv", "proxy": "a.example"}).keys() == {
        "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy",
    }  # fmt: skip


@pytest.fixture(scope="module")
def locked():
    """The version of each package in the lock, by its name."""
    lock = (ROOT / "requirements.lock").read_text()
    found = dict(re.findall(r"^([a-z0-9_.-]+)==([^ ]+) \\\n    --hash=sha256:", lock, re.MULTILINE))
    assert len(found) == len(re.findall(r"^\S+==", lock, re.MULTILINE))
    return found


@pytest.fixture(scope="module")
def wanted():
    """The ranges of setup.py, by the packages' names."""
    texts = re.findall(r'^    "([^"]+)",', (ROOT / "setup.py").read_text(), re.MULTILINE)
    assert len(texts) > 20
    return {one.name.lower().replace("_", "-"): one.specifier for one in map(Requirement, texts)}


def test_every_requirement_is_locked_with_a_hash_within_its_range(locked, wanted):
    for name, specifier in wanted.items():
        assert locked[name] in specifier, name


def test_all_that_needs_protobuf_is_bounded_on_both_sides(locked, wanted):
    """TensorFlow 2.15 wants an old one: pip would try one older release after the other of whatever has newer ones."""

    def needs_it(name):
        needed = map(Requirement, importlib.metadata.requires(name) or ())
        return any(one.name == "protobuf" and (not one.marker or one.marker.evaluate({"extra": ""})) for one in needed)

    users = {name for name in locked if needs_it(name)}
    assert {"google-api-core", "grpcio-status", "tensorflow"} <= users
    bounded = {name for name, given in wanted.items() if {">=", "<"} <= {one.operator for one in given}}
    assert users - bounded == {"tensorboard", "tfx-bsl"}  # of which TensorFlow and TFDV want one series


def wheel(folder, name, version, program=None):
    """Writes a package of one module, and of a program if one is given; returns what a lock says of it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    information = f"{name}-{version}.dist-info"
    contents = {
        f"{name}.py": f"version = {version!r}\n",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in contents.items():
            archive.writestr(inner, text)
        if program:
            script = zipfile.ZipInfo(f"{name}-{version}.data/scripts/{name}")
            script.external_attr = 0o100755 << 16
            archive.writestr(script, program)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


BACKEND = """
import shutil

def build_editable(folder, *_):
    return shutil.copy("small-2.5-py3-none-any.whl", folder).split("/")[-1]
"""
HOSTILE_PIP = "[install]\nuser = true\nno-binary = :all:\ntarget = {elsewhere}\n[global]\n"
HOSTILE_UV = """
required-version = "==0.0.1"
constraint-dependencies = ["tiny==9"]
no-binary = true
pip = {{target = "{elsewhere}", require-hashes = true}}
"""
HOSTILE = {
    "PIP_USER": "1", "PIP_TARGET": "{elsewhere}", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_DRY_RUN": "1", "PIP_QUIET": "3",
    "PIP_CONSTRAINT": "{elsewhere}/wrong.txt", "PIP_NO_BINARY": ":all:", "PIP_REQUIRE_HASHES": "1", "PIP_PREFIX": "{elsewhere}",
    "UV_CONSTRAINT": "{elsewhere}/wrong.txt", "UV_OVERRIDE": "{elsewhere}/wrong.txt", "UV_EXCLUDE": "{elsewhere}/wrong.txt",
    "UV_REQUIRE_HASHES": "1", "UV_WORKING_DIR": "{elsewhere}", "PYTHONPATH": "{elsewhere}",
}  # fmt: skip


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """A folder of packages, with the uv that runs here, and a lock of them."""
    folder = tmp_path_factory.mktemp("mirror") / "the mirror für alle"
    folder.mkdir()
    lock = wheel(folder, "uv", "1.5", Path(find_uv_bin()).read_bytes()) + wheel(folder, "tiny", "1.5")
    return folder, lock


@pytest.fixture
def project(tmp_path, mirror):
    """What make installs: a small project in place of ours, which locks what the mirror has."""
    folder = tmp_path / "ein Ordner für emogan"
    folder.mkdir()
    for name in ("Makefile", "install.py"):
        shutil.copy(ROOT / name, folder)
    for name, text in {
        "setup.py": "", "requirements.lock": mirror[1], "backend.py": BACKEND,
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n",
    }.items():  # fmt: skip
        (folder / name).write_text(text)
    wheel(folder, "small", "2.5")
    return folder


@pytest.fixture
def python(programs):
    """Python 3.11 on the PATH."""
    (programs / "python3.11").symlink_to(os.path.realpath(sys.executable))
    return programs / "python3.11"


@pytest.fixture
def uv(programs):
    """The uv on the PATH."""
    (programs / "uv").symlink_to(find_uv_bin())


def installed_by(project):
    """The program that installed what is locked, after a look at what is there."""
    script = "import small, tiny; print(small.version, tiny.version)"
    shown = subprocess.run([".venv/bin/python", "-c", script], cwd=project, capture_output=True, text=True)
    assert shown.stdout == "2.5 1.5\n", shown.stderr
    assert list((project / "build").iterdir()) == []
    (installer,) = project.glob(".venv/lib/python3.11/site-packages/tiny-1.5.dist-info/INSTALLER")
    return installer.read_text().strip()


@pytest.mark.slow
@pytest.mark.usefixtures("python")
@pytest.mark.parametrize("named_by", ["environment of pip", "file of pip", "environment of uv", "file of uv"])
def test_make_installs_into_its_own_environment(tmp_path, project, programs, mirror, named_by):
    """Whatever the settings are, and takes packages from where they say: in each case the mirror is named there alone."""
    home, elsewhere, good = tmp_path / "home", tmp_path / "elsewhere", mirror[0]
    for folder in (home / ".config" / "pip", home / ".config" / "uv", elsewhere):
        folder.mkdir(parents=True)
    (elsewhere / "wrong.txt").write_text("tiny==9\n")
    (elsewhere / "tiny.py").write_text("version = 9\n")
    settings = {name: value.format(elsewhere=elsewhere) for name, value in HOSTILE.items()}
    of_pip, of_uv = HOSTILE_PIP.format(elsewhere=elsewhere), HOSTILE_UV.format(elsewhere=elsewhere)
    if named_by == "environment of pip":
        of_pip += f"no-index = true\nfind-links = {elsewhere.as_uri()}\n"
        settings["PIP_FIND_LINKS"] = good.as_uri()
    elif named_by == "file of pip":
        of_pip += f"no-index = true\nfind-links = {elsewhere.as_uri()}\n    {good.as_uri()}\n"
    else:
        settings["PIP_CONFIG_FILE"] = os.devnull  # the machine's may name places
        of_uv += (
            f'no-index = true\nfind-links = ["{elsewhere}", "{elsewhere if "environment" in named_by else good}"]\n'
        )
    if named_by == "environment of uv":
        settings["UV_FIND_LINKS"] = f"{elsewhere},{good}"
    (home / ".config" / "pip" / "pip.conf").write_text(of_pip)
    (home / ".config" / "uv" / "uv.toml").write_text(of_uv)
    made = make(project, programs, **settings)
    assert made.returncode == 0, made.stderr
    assert installed_by(project) == "uv", made.stdout
    assert sorted(path.name for path in elsewhere.iterdir()) == ["tiny.py", "wrong.txt"]


@pytest.mark.slow
@pytest.mark.usefixtures("python", "uv")
def test_make_needs_no_home_and_uv_obeys_its_own_settings(tmp_path, project, programs, mirror):
    (tmp_path / "file").touch()
    settings = {"HOME": str(tmp_path / "file" / "home"), "UV_FIND_LINKS": str(mirror[0])}
    made = make(project, programs, PIP_FIND_LINKS=str(tmp_path), PIP_NO_INDEX="1", **settings)
    assert made.returncode == 0, made.stderr
    assert installed_by(project) == "uv", made.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("python")
@pytest.mark.parametrize("broken", ["in the mirror", "on the PATH"])
def test_pip_installs_where_uv_cannot(tmp_path, project, programs, mirror, broken):
    tiny = mirror[1].splitlines()[1]
    links = mirror[0].as_uri()
    if broken == "in the mirror":
        links += f" {tmp_path}"
        (project / "requirements.lock").write_text(wheel(tmp_path, "uv", "1.4", "#!/bin/sh\nexit 1\n") + tiny)
    else:
        (project / "requirements.lock").write_text(tiny)
        (programs / "uv").write_text('#!/bin/sh\n[ "$1" = --version ]\n')
        (programs / "uv").chmod(0o755)
    made = make(project, programs, PIP_FIND_LINKS=links, PIP_NO_INDEX="1")
    assert made.returncode == 0, made.stderr
    assert installed_by(project) == "pip", made.stdout


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_another_python_has_uv_find_python_311(project, programs, python, mirror, there):
    """The uv of the mirror; where it cannot, one sentence is said."""
    find = [find_uv_bin(), "python", "find", "--system", "--no-python-downloads", ">=3.8,!=3.11.*"]
    found = subprocess.run(find, capture_output=True, text=True)
    if found.returncode:
        pytest.skip("there is no other Python")
    (programs / "python3").symlink_to(os.path.realpath(found.stdout.strip()))
    python.rename(programs / ("python" if there else "other"))  # make looks for neither, uv for the first
    made = make(project, programs, PIP_FIND_LINKS=mirror[0].as_uri(), PIP_NO_INDEX="1", UV_PYTHON_DOWNLOADS="never")
    if there:
        assert made.returncode == 0, made.stderr
        assert installed_by(project) == "uv", made.stdout
    else:
        assert says_one_sentence(made)
