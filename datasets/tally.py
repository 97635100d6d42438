"""Counts what became of every clip of a build, and ends a build that loses too many.

Public names: Tally, SHOWN_REJECTIONS.
"""

import collections
import csv
import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datasets.clips import Clip, Listing, Rejection
from datasets.files import printable
from emogan.errors import UserError, first_ones

SHOWN_REJECTIONS = 10
"""Rejections that a message spells out."""
PATIENCE = 20
"""Rejections gathered before a build is given up, so that its message shows what they have in common."""


class Tally:
    """The counts of one build.

    Attributes:
        corpus_dir: the corpus's folder; paths are written relative to it.
        csv_path: where all rejections are listed.
    """

    def __init__(self, listing: Listing, *, corpus_dir: Path, csv_path: Path, max_rejects: float) -> None:
        self.corpus_dir = corpus_dir
        self.csv_path = csv_path
        self._max_rejects = max_rejects
        self._listing = listing
        self._clips = sum(map(len, listing.splits.values())) + len(listing.rejections)
        self._rejections = list(listing.rejections)
        self._first: dict[str, Clip] = {}
        self._twins: dict[str, list[str]] = {}
        self._labels: set[str | None] = set()

    def accepts(self, clip: Clip, key: str, rejection: Rejection | None) -> bool:
        """Records what became of a clip, and its key in the store. Raises UserError where too many are rejected already."""
        if rejection is None:
            self._labels.add(clip.label)
            first = self._first.setdefault(key, clip)
            if (first.speaker_id, first.label) != (clip.speaker_id, clip.label):
                self._twins.setdefault(first.clip_id, [first.clip_id]).append(clip.clip_id)
            return True
        self._rejections.append(rejection)
        if len(self._rejections) > max(self._max_rejects * self._clips, PATIENCE):
            self._give_up()
        return False

    def finish(self, *, examples: int, class_names: Iterable[str]) -> dict[str, Any]:
        """Writes the list of rejections and returns the counts for the dataset's metadata.

        Args:
            examples: the number of those that were written.
            class_names: of the dataset; empty where it has none.

        Raises:
            UserError: more than the allowed share of the clips was rejected, or all of them; or some are not accounted for.
        """
        if len(self._rejections) > self._max_rejects * self._clips or len(self._rejections) == self._clips:
            self._give_up()
        self._write_csv()
        if examples + len(self._rejections) != self._clips:
            raise UserError(
                f"of {self._clips} clips {len(self._rejections)} were rejected, and {examples} became examples: "
                f"{self._clips - examples - len(self._rejections)} are missing; run the same command again"
            )
        return {
            "clips": self._clips,
            "examples": examples,
            "left_out": dict(sorted(self._listing.left_out.items())),
            "not_read": self.not_read(),
            "rejections": self._by_reason(),
            "rejected": self._rows(),
            "warnings": self._warnings(class_names),
        }

    def _warnings(self, class_names: Iterable[str]) -> dict[str, str]:
        warnings = {what: printable(detail) for what, detail in self._listing.warnings.items()}
        if missing := [name for name in class_names if name not in self._labels]:
            warnings["Classes without examples"] = f"no clip of {', '.join(missing)} became an example"
        if self._twins:
            groups = first_ones([" = ".join(ids) for ids in self._twins.values()], between="; ")
            warnings["Same files"] = f"of several speakers or classes, though byte by byte alike: {groups}"
        return warnings

    def not_read(self) -> dict[str, int]:
        """The number of files that were not read, by the uppermost folder in which no clip of this corpus lies.

        Those that lie beside clips have a name each, but several of a kind in a folder have one, as `Actor_01/*.mxf`.
        """
        clips = itertools.chain.from_iterable(self._listing.splits.values())
        used = {path.parent for clip in clips for path in (clip.image_path, clip.audio_path)}
        used |= {self.corpus_dir, *(rejection.path.parent for rejection in self._rejections)}
        used |= {parent for folder in used for parent in folder.parents}
        unused = {
            path: next((up for up in reversed(path.parents) if up not in used), None) for path in self._listing.unread
        }
        alike = collections.Counter(_of_its_kind(path) for path, folder in unused.items() if folder is None)
        places = collections.Counter(
            folder or (_of_its_kind(path) if alike[_of_its_kind(path)] > 1 else path) for path, folder in unused.items()
        )
        counts = {self._place(path): count for path, count in places.most_common()}
        return counts | {f"{self._place(path)}: {why}": 1 for path, why in sorted(self._listing.closed.items())}

    def _place(self, path: Path) -> str:
        return printable(os.path.relpath(path, self.corpus_dir))

    def _by_reason(self) -> dict[str, int]:
        return dict(collections.Counter(rejection.reason for rejection in self._rejections).most_common())

    def _rows(self) -> list[dict[str, str]]:
        """In the order in which the files lie in the corpus."""
        return [
            {
                "clip_id": printable(rejection.clip_id),
                "path": self._place(rejection.path),
                "reason": rejection.reason,
                "detail": printable(rejection.detail.replace(f"{self.corpus_dir}{os.sep}", "")),
                "key": rejection.key,
            }
            for rejection in sorted(self._rejections, key=lambda rejection: rejection.path)
        ]

    def _write_csv(self) -> None:
        self.csv_path.parent.mkdir(parents=True, exist_ok=True)
        with self.csv_path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["clip_id", "path", "reason", "detail", "key"])
            writer.writeheader()
            writer.writerows(self._rows())

    def _give_up(self) -> None:
        self._write_csv()
        reasons = self._by_reason()
        count = len(self._rejections)
        lines = [f"{row['path']}: {row['reason']}: {row['detail']}" for row in self._rows()[:SHOWN_REJECTIONS]]
        remedy = "mend these files, or allow a larger share by --max_rejects"
        if 2 * reasons.get("git_lfs_pointer", 0) > count:
            remedy = f"the media themselves were not downloaded: run `git lfs pull` in {self.corpus_dir}"
        raise UserError(
            f"{count} of {self._clips} clips were rejected (max_rejects allows {self._max_rejects:.1%}, and one must "
            + "remain): "
            + ", ".join(f"{n} {reason}" for reason, n in reasons.items())
            + "; the first are\n  "
            + "\n  ".join(lines)
            + f"\nAll of them are in {self.csv_path}; {remedy}"
        )


def _of_its_kind(path: Path) -> Path:
    """A pattern for the files of a folder that have a suffix, or begin alike where they have none."""
    return path.with_name(f"*{path.suffix.lower()}" if path.suffix else f"{path.name[:-2]}*")
