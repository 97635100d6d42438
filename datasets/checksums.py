"""Compares downloaded archives with their official MD5 checksums; an unchanged archive is read only once.

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
    """Checks the files whose names have an official checksum; ignores the others.

    Args:
        paths: the files.
        sums: file of the official checksums, in the format of `md5sum`: checksum, two spaces, name on each line.
        memory: JSON file, written here, with the sizes and times of the files that were verified.
        progress: whether to show a progress bar.

    Raises:
        UserError: a checksum differs; the message names the files.
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
                _write(memory, json.dumps(known, indent=2))  # now, because a build may be interrupted
            else:
                wrong.append(f"{path}: MD5 {found}, must be {official[path.name]}")
    if wrong:
        raise UserError(
            "archives differ from the official ones; download them again (or unpack them if they are meant to differ: "
            "folders are not checked)\n  " + "\n  ".join(wrong)
        )


def _md5(path: Path, bar: tqdm) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def _write(path: Path, text: str) -> None:
    """Writes a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
