"""Counts the examples and rejections of a build, and stops a build with too many rejections.

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
"""Rejections that a message lists."""
PATIENCE = 20
"""Rejections that a build collects before it stops early, so that the message shows what they have in common."""


class Tally:
    """The counts of one build.

    Attributes:
        corpus_dir: the corpus's folder; paths are reported relative to it.
        csv_path: the file that lists all rejections.
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
        """Records the outcome of a clip with its key in the store. Raises UserError if too many clips were rejected."""
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
            examples: number of examples written.
            class_names: of the dataset; empty if it has no labels.

        Raises:
            UserError: more than the allowed share of the clips was rejected, or all of them; or clips are missing.
        """
        if len(self._rejections) > self._max_rejects * self._clips or len(self._rejections) == self._clips:
            self._give_up()
        self._write_csv()
        if examples + len(self._rejections) != self._clips:
            raise UserError(
                f"{self._clips - examples - len(self._rejections)} of {self._clips} clips are missing ({examples} became "
                f"examples, {len(self._rejections)} were rejected); run the same command again"
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
        warnings = {title: printable(detail) for title, detail in self._listing.warnings.items()}
        if missing := [name for name in class_names if name not in self._labels]:
            warnings["Classes without examples"] = f"no clip of {', '.join(missing)} became an example"
        if self._twins:
            groups = first_ones([" = ".join(ids) for ids in self._twins.values()], between="; ")
            warnings["Same files"] = f"identical files under several speakers or classes: {groups}"
        return warnings

    def not_read(self) -> dict[str, int]:
        """Returns the number of files that were not read, by the topmost folder without clips of this corpus.

        Files next to clips are listed by name; several of a kind in one folder share a pattern, such as `Actor_01/*.mxf`.
        """
        clips = itertools.chain.from_iterable(self._listing.splits.values())
        used = {path.parent for clip in clips for path in (clip.image_path, clip.audio_path)}
        used |= {self.corpus_dir, *(rejection.path.parent for rejection in self._rejections)}
        used |= {parent for folder in used for parent in folder.parents}
        folders = {
            path: next((parent for parent in reversed(path.parents) if parent not in used), None)
            for path in self._listing.unread
        }
        similar = collections.Counter(_pattern(path) for path, folder in folders.items() if folder is None)
        places = collections.Counter(
            folder or (_pattern(path) if similar[_pattern(path)] > 1 else path) for path, folder in folders.items()
        )
        counts = {self._place(path): count for path, count in places.most_common()}
        return counts | {f"{self._place(path)}: {why}": 1 for path, why in sorted(self._listing.closed.items())}

    def _place(self, path: Path) -> str:
        return printable(os.path.relpath(path, self.corpus_dir))

    def _by_reason(self) -> dict[str, int]:
        return dict(collections.Counter(rejection.reason for rejection in self._rejections).most_common())

    def _rows(self) -> list[dict[str, str]]:
        """Returns the rejections as rows, in the order of their paths."""
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
        remedy = "correct these files, or raise --max_rejects"
        if 2 * reasons.get("git_lfs_pointer", 0) > count:
            remedy = f"the media files were not downloaded: run `git lfs pull` in {self.corpus_dir}"
        raise UserError(
            f"{count} of {self._clips} clips were rejected (max_rejects allows {self._max_rejects:.1%}, and at least one "
            + "clip must be usable): "
            + ", ".join(f"{n} {reason}" for reason, n in reasons.items())
            + ". The first are:\n  "
            + "\n  ".join(lines)
            + f"\n{self.csv_path} lists all of them; {remedy}"
        )


def _pattern(path: Path) -> Path:
    """Returns a pattern for the files of a folder with the same suffix, or with the same beginning if they have none."""
    return path.with_name(f"*{path.suffix.lower()}" if path.suffix else f"{path.name[:-2]}*")
