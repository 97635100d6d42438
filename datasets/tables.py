"""Reads the tables of a corpus. Errors name the file, the line and the rule.

Public names: Row, read_table.
"""

import csv
import dataclasses
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from emogan.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table.

    Attributes:
        path: the table.
        line: line number in the file, from 1.
        cells: stripped texts by the name of the column.
    """

    path: Path
    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def fail(self, column: str, rule: str) -> NoReturn:
        """Raises a UserError because this row's value breaks a rule, `must be ...`."""
        raise UserError(f"{self.path}, line {self.line}: {column} is {self[column]!r}; it {rule}")


def read_table(path: Path, key: str, columns: Sequence[str]) -> Iterator[Row]:
    """Reads a table with a header row. Further columns are allowed.

    Args:
        path: the table, UTF-8, separated by tabs, or by commas if the header has no tab.
        key: the column whose values must be unique and not empty.
        columns: further columns that must exist.

    Raises:
        UserError: the table is malformed.
    """
    text = _text(path)
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    lines: dict[str, int] = {}
    try:
        for values in reader:
            cells = [value.strip() for value in values]
            if header is None:
                header = cells
                if missing := [column for column in (key, *columns) if column not in header]:
                    hint = " (cells must be separated by commas or tabs)" if ";" in text.partition("\n")[0] else ""
                    raise UserError(
                        f"{path}, line 1: the header lacks the column {', '.join(missing)}; it has {header}{hint}"
                    )
            elif any(cells):
                if len(cells) != len(header):
                    raise UserError(
                        f"{path}, line {reader.line_num}: {len(cells)} cells; must be {len(header)}, as in the header"
                    )
                row = Row(path=path, line=reader.line_num, cells=dict(zip(header, cells, strict=True)))
                if not row[key]:
                    row.fail(key, "must not be empty")
                if row[key] in lines:
                    row.fail(key, f"must differ from line {lines[row[key]]}")
                lines[row[key]] = row.line
                yield row
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.line_num}: not a valid table ({error}); correct it, or download it again"
        ) from error
    if header is None:
        raise UserError(f"{path} is empty; must be a table with the columns {', '.join((key, *columns))}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}, line {line}: not UTF-8 text ({error.reason}); save it as UTF-8, or download it again"
        ) from error
