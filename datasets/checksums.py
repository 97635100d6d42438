"""Compares downloaded archives with their official MD5 sums, each once as long as it does not change.

Public names: check_md5.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from tqdm.auto import tqdm

from emogan.errors import UserError

_CHUNK_BYTES = 8 * 2**20


def check_md5(paths: Iterable[Path], sums: Path, *, memory: Path, progress: bool) -> None:
    """Checks those files whose names have an official sum; the others are not looked at.

    Args:
        paths: the files.
        sums: the official sums, as `md5sum` writes and checks them: a sum, two spaces, a name on each line.
        memory: a JSON file, written here, of the sizes and times of the files that were right already.
        progress: whether to show a progress bar.

    Raises:
        UserError: sums differ; the message names the files.
    """
    official = {name: md5 for md5, name in (line.split() for line in sums.read_text(encoding="utf-8").splitlines())}
    known: dict[str, list[int]] = json.loads(memory.read_text(encoding="utf-8")) if memory.is_file() else {}
    states = {path: [path.stat().st_size, path.stat().st_mtime_ns] for path in paths if path.name in official}
    unknown = [path for path, state in states.items() if known.get(str(path.resolve())) != state]
    size = sum(states[path][0] for path in unknown)
    wrong = []
    with tqdm(total=size, desc="MD5", unit="B", unit_scale=True, disable=not (progress and unknown)) as bar:
        for path in unknown:
            found = _md5(path, bar)
            if found == official[path.name]:
                known[str(path.resolve())] = states[path]
                _write(memory, json.dumps(known, indent=2))  # now: a build may be stopped before the last
            else:
                wrong.append(f"{path}: MD5 {found}, officially {official[path.name]}")
    if wrong:
        raise UserError(
            "not the official archives; download them again (one that is meant to differ can be unpacked: folders are "
            "not checked)\n  " + "\n  ".join(wrong)
        )


def _md5(path: Path, bar: tqdm) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
