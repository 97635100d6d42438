"""Counts what became of every clip of a build, and ends a build that loses too many.

Public names: Tally.
"""

import collections
import csv
import os
from pathlib import Path
from typing import Any

from datasets.clips import Listing, Rejection
from emogan.errors import UserError

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
        self._left_out = dict(sorted(listing.left_out.items()))
        self._clips = sum(map(len, listing.splits.values())) + len(listing.rejections)
        self._rejections = list(listing.rejections)

    def accepts(self, rejection: Rejection | None) -> bool:
        """Records a rejection, if it is one. Raises UserError where they are too many already."""
        if rejection is None:
            return True
        self._rejections.append(rejection)
        if len(self._rejections) > max(self._max_rejects * self._clips, PATIENCE):
            self._give_up()
        return False

    def finish(self) -> dict[str, Any]:
        """Writes the list of rejections and returns the counts for the dataset's metadata.

        Raises:
            UserError: more than the allowed share of the clips was rejected, or all of them.
        """
        if len(self._rejections) > self._max_rejects * self._clips or len(self._rejections) == self._clips:
            self._give_up()
        self._write_csv()
        return {
            "clips": self._clips,
            "examples": self._clips - len(self._rejections),
            "left_out": self._left_out,
            "rejections": self._by_reason(),
            "rejected": self._rows(),
        }

    def _by_reason(self) -> dict[str, int]:
        return dict(collections.Counter(rejection.reason for rejection in self._rejections).most_common())

    def _rows(self) -> list[dict[str, str]]:
        return [
            {
                "clip_id": rejection.clip_id,
                "path": os.path.relpath(rejection.path, self.corpus_dir),
                "reason": rejection.reason,
                "detail": rejection.detail.replace(f"{self.corpus_dir}{os.sep}", ""),
                "key": rejection.key,
            }
            for rejection in self._rejections
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
