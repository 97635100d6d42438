"""The tables of speakers, vox1_meta.csv and vox2_meta.csv.

Public names: Speakers.
"""

from pathlib import Path

from datasets.tables import read_table

_GENDERS = {"m": "male", "f": "female"}


class Speakers:
    """The table's entries for each speaker; empty if there is no table.

    Attributes:
        path: the table.
    """

    def __init__(self, path: Path, corpus: str, columns: tuple[str, ...] = ()) -> None:
        """Reads the table.

        Args:
            path: of the table, which may be missing.
            corpus: VoxCeleb1 or VoxCeleb2.
            columns: required columns besides the speaker's id and Gender.

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
        """Returns `male` or `female`; empty for a speaker who is not in the table."""
        return _GENDERS[self._cells[speaker_id]["Gender"]] if speaker_id in self else ""

    def cell(self, speaker_id: str, column: str) -> str:
        """Returns the text in another column, for a speaker in the table."""
        return self._cells[speaker_id][column]
