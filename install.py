"""Makes .venv of Python 3.11, with the packages of requirements.lock and emogan; `make` runs it with any Python from 3.8 on.

If that is not 3.11, uv finds or downloads one. Then uv installs, or pip where uv cannot. Settings of pip and uv, in files and
in the environment, are obeyed if they say where packages are and how to get there. All others are dropped: they would install
elsewhere (`user`, `target`), or something else than what is locked (`no-binary`, `constraint`).
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # before Python 3.11
    tomllib = None

VENV = Path(".venv")
VENV_PYTHON = str(VENV / "bin" / "python")
PLACES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",  # not a variable of uv, but an option
}
"""What says where packages are: pip's settings, and uv's variables."""
SETTINGS = {
    **PLACES,
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
    "keyring-provider": "UV_KEYRING_PROVIDER",
    "no-cache-dir": "UV_NO_CACHE",
    "proxy": "HTTPS_PROXY https_proxy HTTP_PROXY http_proxy",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "cache-dir": "",
}
"""All that is obeyed of pip's settings, and what says the same to uv."""
OF_UV_ALONE = re.compile(
    r"UV_(CACHE_DIR|CONCURRENT_\w+|CREDENTIALS_DIR|INDEX_\w+_(USERNAME|PASSWORD)|NATIVE_TLS|NO_PROGRESS|OFFLINE|SYSTEM_CERTS)"
    r"|UV_(PYTHON_(DOWNLOADS|INSTALL|PREFERENCE|SEARCH_PATH)\w*|(NO_)?MANAGED_PYTHON)|(HTTPS?|NO)_PROXY"
)
SYNONYMS = {
    "UV_INDEX_URL": "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL": "UV_INDEX",
    "UV_REQUEST_TIMEOUT": "UV_HTTP_TIMEOUT",
    # From keys of uv.toml:
    "UV_ALLOW_INSECURE_HOST": "UV_INSECURE_HOST",
    "UV_HTTP_PROXY": "HTTP_PROXY",
    "UV_HTTPS_PROXY": "HTTPS_PROXY",
    "UV_NO_PROXY": "NO_PROXY",
}
USED = """
apache_beam datasets.validation emogan.generation emogan.recogniser librosa.filters matplotlib.backends.backend_agg
trainers.release.augment trainers.stages.pipeline trainers.study.running
"""
"""Modules that import nearly all that the commands do."""
NEEDED = "emogan needs Python 3.11 (TensorFlow 2.15 runs on no newer one)"


def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess:
    """Runs a command and captures its output; the status is 127 if it cannot be started."""
    try:
        return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def is_on(value: str) -> bool:
    """Whether a setting of pip or uv is true."""
    return value.lower() in ("1", "true", "yes", "on", "t", "y")


def is_writable(folder: str) -> bool:
    """Whether files can be written to a folder, which is created if it is missing."""
    try:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def settings_of_pip(pip: list[str]) -> dict[str, str]:
    """The settings of pip in its files and in the environment that are obeyed, by name."""
    listed = run([*pip, "-vvv", "config", "list"], dict(os.environ)).stdout
    found = {}
    for place in ("global", "install", ":env:"):  # the last one wins
        for name, value in re.findall(rf"^{place}\.([a-z-]+)=(.+)$", listed, re.MULTILINE):
            if name in SETTINGS:
                found[name] = ast.literal_eval(value)
    return found


def settings_of_uv() -> dict[str, str]:
    """The settings of uv in its files and in the environment that are obeyed, by variable."""
    own = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 (there may be no home)
    folders = ["/etc", *os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")[::-1], own]
    files = [f"{folder}/uv/uv.toml" for folder in folders]  # the last wins
    if "UV_CONFIG_FILE" in os.environ:
        files = [os.environ["UV_CONFIG_FILE"]]
    found = {}
    for file in files if tomllib and not is_on(os.environ.get("UV_NO_CONFIG", "")) else []:
        with contextlib.suppress(OSError, ValueError):  # there is none, or none that uv could read
            found.update(named(variables(tomllib.loads(Path(file).read_text(encoding="utf-8")))))
    found.update(named({name: value for name, value in os.environ.items() if name.startswith("UV_")}))
    return {name: value for name, value in found.items() if name in SETTINGS.values() or OF_UV_ALONE.fullmatch(name)}


def named(found: dict[str, str]) -> dict[str, str]:
    """Variables of uv, each by its one name."""
    return {**{SYNONYMS[name]: value for name, value in found.items() if name in SYNONYMS}, **found}


def variables(table: dict) -> dict[str, str]:
    """A uv.toml as variables of uv."""
    found = {}
    for key, value in {**table, **table.get("pip", {})}.items():
        if key == "index":
            for one in value:
                if one.get("default"):
                    found["UV_DEFAULT_INDEX"] = one["url"]
                elif not one.get("explicit"):
                    address = f"{one['name']}={one['url']}" if "name" in one else one["url"]
                    found["UV_INDEX"] = f"{found.get('UV_INDEX', '')} {address}".strip()
        else:
            if isinstance(value, list):
                value = ("," if key in ("find-links", "no-proxy") else " ").join(map(str, value))
            found[f"UV_{key.upper().replace('-', '_')}"] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def for_uv(settings: dict[str, str]) -> dict[str, str]:
    """Settings of pip as variables of uv."""
    found = {}
    for name, value in settings.items():
        if name in PLACES:
            value = ("," if name == "find-links" else " ").join(value.split())
        if name != "keyring-provider" or value in ("disabled", "subprocess"):  # all that uv has
            found.update(dict.fromkeys(SETTINGS[name].split(), value))
    return found


def for_pip(found: dict[str, str]) -> dict[str, str]:
    """Variables of uv as settings of pip."""
    settings = {name: found[variable] for name, variable in SETTINGS.items() if variable in found}
    if "find-links" in settings:
        links = [one if "://" in one else Path(one).resolve().as_uri() for one in settings["find-links"].split(",")]
        settings["find-links"] = " ".join(links)
    for name in {"index-url", "extra-index-url"} & settings.keys():
        settings[name] = re.sub(r"(?:^|(?<=\s))[\w.-]+=(?=\S+:/)", "", settings[name])  # names of indexes
    return settings


def both(own: dict[str, str], other: dict[str, str], places: set[str]) -> dict[str, str]:
    """What a tool's own settings say, and the other tool's say beyond that; of places only one tool's."""
    return {**{name: value for name, value in other.items() if not (name in places and places & own.keys())}, **own}


def get_uv(pip: list[str], env: dict[str, str], folder: Path) -> tuple[str, str]:
    """The uv that is on the PATH, or else that of the lock, which pip puts into a folder; or why there is none."""
    uv = shutil.which("uv") or ""
    if run([uv, "--version"], env).returncode == 0:
        return uv, ""
    lines = re.search(r"^uv==.*(\n .*)*", Path("requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    (folder / "uv.txt").write_text(lines[0] if lines else "", encoding="utf-8")
    options = ["--target", str(folder), "--no-deps", "--require-hashes", "--requirement", str(folder / "uv.txt")]
    installed = run([*pip, "install", *options], env)
    uv = str(folder / "bin" / "uv")
    shown = run([uv, "--version"], env)
    return ("", last_line(shown if installed.returncode == 0 else installed)) if shown.returncode else (uv, "")


def last_line(failed: subprocess.CompletedProcess) -> str:
    """The last line of a failed command's errors, or its status."""
    return (failed.stderr.strip() or f"status {failed.returncode}").splitlines()[-1].strip()


def main() -> int:
    """Installs; returns the exit status."""
    os.chdir(Path(__file__).resolve().parent)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "PYTHON"))}
    clean.update({"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    clean.update({"UV_NO_CONFIG": "1"} if tomllib else {})

    venvs = [[sys.executable, "-m", "venv", "--clear", str(VENV)]]
    has_venv = not make_venv(venvs, clean)
    pip = [VENV_PYTHON if has_venv else sys.executable, "-m", "pip"]
    of_pip, of_uv = settings_of_pip(pip), settings_of_uv()
    pips = both(of_pip, for_pip(of_uv), set(PLACES))
    pip_env = {**clean, **{f"PIP_{name.upper().replace('-', '_')}": value for name, value in pips.items()}}
    uv_env = {**clean, **both(of_uv, for_uv(of_pip), set(PLACES.values()))}
    no_index = ["--no-index"] if is_on(uv_env.pop("UV_NO_INDEX", "")) else []

    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build", prefix="install_") as folder:  # on the disk of .venv, for hard links
        uv, problem = get_uv(pip, pip_env, Path(folder).resolve())
        if is_on(uv_env.pop("UV_NO_CACHE", "")) or not is_writable(run([uv, "cache", "dir"], uv_env).stdout.strip()):
            uv_env["UV_CACHE_DIR"] = str(Path(folder, "cache").resolve())
        if sys.version_info[:2] != (3, 11):
            return start_again(uv, problem, uv_env)
        python = ["--python", sys.executable]
        venvs.append([uv, "venv", "--clear", "--seed", "--no-project", *python, *no_index, str(VENV)])
        if not has_venv and (reason := problem or make_venv(venvs, uv_env)):
            sys.exit(f".venv cannot be made ({reason}); install Python's module ensurepip (on Debian: python3.11-venv)")
        if uv:
            print("uv installs requirements.lock into .venv", flush=True)
            where = ["--python", VENV_PYTHON, "--index-strategy", "unsafe-best-match", *no_index]
            if install([uv, "pip", "install", *where], uv_env):
                keep_compiled(clean)
                return 0
            problem = "its message is above"
            make_venv(venvs, uv_env)  # without what may be half installed
    print(f"uv cannot install ({problem}); pip does, which takes longer", flush=True)
    return 0 if install([VENV_PYTHON, "-m", "pip", "install"], pip_env) else 1


def make_venv(commands: list[list[str]], env: dict[str, str]) -> str:
    """Creates .venv with the first command that works; returns the last error if none does (Debian's Python may lack pip)."""
    for command in commands:
        result = run(command, env)
        if result.returncode == 0:
            return ""
    return last_line(result)


def start_again(uv: str, problem: str, env: dict[str, str]) -> int:
    """Runs this file with the Python 3.11 that uv finds or downloads; returns its status."""
    if not is_writable(run([uv, "python", "dir"], env).stdout.strip()):
        env = {**env, "UV_PYTHON_INSTALL_DIR": str(Path("build", "python").resolve())}
    show = ["python", "-c", "import os, sys; print(os.path.realpath(sys.executable))"]
    found = run([uv, "run", "--no-project", "--python", "3.11", *show], env)
    if found.returncode:
        problem = problem or found.stderr.splitlines()[0].replace("error: ", "")
        sys.exit(f"{NEEDED}, and uv cannot get it ({problem}); install it, or name it with PYTHON=/path/to/python3.11")
    path = f"{Path(uv).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return subprocess.run([found.stdout.strip(), "install.py"], env={**os.environ, "PATH": path}).returncode


def install(command: list[str], env: dict[str, str]) -> bool:
    """Installs the lock, then emogan as it is here; tells whether that succeeded."""
    locked = ["--require-hashes", "--requirement", "requirements.lock"]
    emogan = ["--no-build-isolation", "--editable", "."]
    return all(subprocess.run([*command, "--no-deps", *what], env=env).returncode == 0 for what in (locked, emogan))


def keep_compiled(env: dict[str, str]) -> None:
    """Imports what the commands do, so that Python keeps it compiled; pip does that, uv does not.

    Without that each command takes 10 s longer to start where Python may not write into .venv, or is told not to
    (PYTHONDONTWRITEBYTECODE). To compile all that is installed takes minutes.
    """
    run([VENV_PYTHON, "-c", f"import {', '.join(USED.split())}"], env)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"emogan cannot be installed into {VENV.resolve()}: {error}")
