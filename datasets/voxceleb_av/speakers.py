"""The tables vox1_meta.csv and vox2_meta.csv: who speaks.

Public names: Speakers.
"""

from pathlib import Path

from datasets.tables import read_table

_GENDERS = {"m": "male", "f": "female"}


class Speakers:
    """What the table says of each speaker; nothing where there is no table.

    Attributes:
        path: the table.
    """

    def __init__(self, path: Path, corpus: str, columns: tuple[str, ...] = ()) -> None:
        """Reads the table.

        Args:
            path: of the table, which may be missing.
            corpus: VoxCeleb1 or VoxCeleb2.
            columns: that must be there, beside the speaker's id and Gender.

        Raises:
            UserError: the table is malformed.
        """
        self.path = path
        key = f"{corpus} ID"
        rows = read_table(path, key, ("Gender", *columns)) if path.is_file() else ()
        self._cells: dict[str, dict[str, str]] = {}
        for row in rows:
            if row["Gender"] not in _GENDERS:
                row.fail("Gender", "must be m or f")
            if "Set" in columns and row["Set"] not in ("dev", "test"):
                row.fail("Set", "must be dev or test")
            self._cells[row[key]] = row.cells

    def __contains__(self, speaker_id: str) -> bool:
        return speaker_id in self._cells

    def gender(self, speaker_id: str) -> str:
        """`male` or `female`; empty for a speaker the table does not know."""
        return _GENDERS[self._cells[speaker_id]["Gender"]] if speaker_id in self else ""

    def cell(self, speaker_id: str, column: str) -> str:
        """The text in a further column, of a speaker that the table knows."""
        return self._cells[speaker_id][column]
