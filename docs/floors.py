"""Draws the packages and their modules, floor by floor: `python docs/floors.py` writes docs/img/floors.svg."""

import pathlib
from collections.abc import Iterator
from html import escape

ROOT = pathlib.Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "img" / "floors.svg"
FLOORS = (  # from the top: each imports only from those below it
    {"lab": "command line, studies, report, checkpoints"},
    {"protocol": "n-shot curves and their statistics"},
    {"methods": "one file for each method, by the lecture's sections"},
    {"learners": "PPO, SAC, DQN, Q-learning", "tasks": "worlds, robots, Gymnasium environments"},
    {"losses": "of one sample", "nets": "neural networks", "core": "types, training loop, memory"},
)
SHARE = {"tasks": 3}  # of a floor's width; the others': 1
WIDTH, MARGIN, PAD, ROW, LETTER = 1080, 12, 14, 26, 7.0
STYLE = """
text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #1d2430 }
.room { font: 600 15px system-ui, sans-serif } .role, .part { font: 12px system-ui, sans-serif; fill: #59626f }
rect { fill: #fff; stroke: #cfcdc6 } .file { fill: #eef3f8; stroke: none }
@media (prefers-color-scheme: dark) {
  text { fill: #e8eaee } .role, .part { fill: #a4acb9 } rect { fill: #1b1f26; stroke: #3a414c } .file { fill: #28303b }
}
"""


def files(folder: pathlib.Path) -> list[str]:
    """Returns the names of a folder's modules; `__init__` counts if it defines functions."""
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    own = folder / "__init__.py"
    return names + ["__init__"] * (own.exists() and "\ndef " in own.read_text(encoding="utf-8"))


def parts(room: pathlib.Path) -> list[tuple[str, list[str]]]:
    """Returns a package's own modules, and those of each of its folders."""
    inner = sorted(path for path in room.glob("**/") if path != room and any(path.glob("*.py")))
    return [("", files(room))] * bool(files(room)) + [
        (path.relative_to(room).as_posix(), files(path)) for path in inner
    ]


def rows(names: list[str], width: float) -> Iterator[list[tuple[str, float]]]:
    """Yields rows of names that fit the width, each name with its position."""
    row, at = [], 0.0
    for name in names:
        wide = LETTER * len(name) + 14
        if row and at + wide > width:
            yield row
            row, at = [], 0.0
        row.append((name, at))
        at += wide + 6
    yield row


def room(name: str, role: str, x: float, y: float, width: float) -> tuple[list[str], float]:
    """Returns the drawing of a package without its border, and its lower end."""
    title = f'<text class="room" x="{x + PAD:g}" y="{y + 24:g}">{name}</text>'
    drawn = [title, f'<text class="role" x="{x + PAD:g}" y="{y + 42:g}">{escape(role)}</text>']
    y += 54
    for part, names in parts(ROOT / "headstart" / name):
        indent = 110 if part else 0
        if part:
            drawn.append(f'<text class="part" x="{x + PAD:g}" y="{y + 15:g}">{part}/</text>')
        for row in rows(names, width - 2 * PAD - indent):
            for label, at in row:
                left = x + PAD + indent + at
                wide = LETTER * len(label) + 14
                drawn.append(f'<rect class="file" x="{left:g}" y="{y:g}" width="{wide:g}" height="20" rx="4"/>')
                drawn.append(f'<text x="{left + 7:g}" y="{y + 14:g}">{label}</text>')
            y += ROW
    return drawn, y + 6


def draw() -> str:
    """Returns the picture."""
    drawn, y = [], float(MARGIN)
    for floor in FLOORS:
        shares = [SHARE.get(name, 1) for name in floor]
        unit = (WIDTH - MARGIN * (len(floor) + 1)) / sum(shares)
        walls = [(MARGIN * (i + 1) + unit * sum(shares[:i]), unit * share) for i, share in enumerate(shares)]
        rooms = [room(*item, x, y, width) for item, (x, width) in zip(floor.items(), walls, strict=True)]
        end = max(bottom for _, bottom in rooms)
        for (inside, _), (x, width) in zip(rooms, walls, strict=True):
            drawn.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{end - y:g}" rx="8"/>')
            drawn += inside
        y = end + MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:g}" role="img">'
    return "\n".join([head, f"<title>headstart, floor by floor</title><style>{STYLE}</style>", *drawn, "</svg>\n"])


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
