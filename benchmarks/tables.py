"""A question and its answer, as a table of Markdown."""

from dataclasses import dataclass, field

__all__ = ["Table"]


@dataclass(slots=True)
class Table:
    """One question; numbers are right-aligned from the second column on."""

    question: str
    columns: tuple[str, ...]
    rows: list[tuple[object, ...]] = field(default_factory=list)
    note: str = ""

    def add(self, *cells: object) -> None:
        """Add a row and show it at once: a long run shall not be silent."""
        self.rows.append(cells)
        print(f"{self.question}: {' | '.join(map(_text, cells))}", flush=True)

    def markdown(self) -> str:
        """Give the table with its question above and its note below."""
        lines = [f"## {self.question}", "", _line(self.columns)]
        lines.append("|---|" + "---:|" * (len(self.columns) - 1))
        lines += [_line(row) for row in self.rows]
        return "\n".join([*lines, "", self.note, ""])


def _line(cells: tuple[object, ...]) -> str:
    return f"| {' | '.join(map(_text, cells))} |"


def _text(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return str(cell).replace("|", "/")
