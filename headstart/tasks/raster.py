"""Drawings as images: for `render` of a Gymnasium env and for videos."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from headstart.core.drawing import Disc, Drawing, Line, Point, Role

COLOURS: dict[Role, str] = {
    "ground": "#d9dbdf",
    "wall": "#6b7280",
    "body": "#1f2937",
    "limb": "#c2703d",
    "far": "#dfb18f",
    "goal": "#2f855a",
    "mark": "#2b6cb0",
}
PAPER = "#ffffff"
SUPERSAMPLING = 3  # supersampling: images are drawn this much larger, then reduced


def raster(drawing: Drawing, size: int = 400) -> UInt8[np.ndarray, "height width 3"]:
    """Returns the drawing in RGB; its longer side has `size` pixels."""
    (left, bottom), (right, top) = drawing.low, drawing.high
    unit = SUPERSAMPLING * size / max(right - left, top - bottom)  # pixels
    wide, high = (max(round(side * unit), SUPERSAMPLING) for side in (right - left, top - bottom))
    image = Image.new("RGB", (wide, high), PAPER)
    pen = ImageDraw.Draw(image)

    def place(point: Point) -> Point:
        x, y = point
        return (x - left) * unit, (top - y) * unit

    def disc(centre: Point, radius: float, colour: str) -> None:
        x, y = place(centre)
        reach = radius * unit
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)

    for shape in drawing.shapes:
        colour = COLOURS[shape.role]
        if isinstance(shape, Disc):
            disc(shape.centre, shape.radius, colour)
        elif isinstance(shape, Line):
            pen.line([place(point) for point in shape.points], fill=colour, width=max(round(shape.width * unit), 1))
            for point in shape.points:  # round ends and joints
                disc(point, shape.width / 2, colour)
        else:
            pen.polygon([place(point) for point in shape.points], fill=colour)
    return np.asarray(
        image.resize((max(wide // SUPERSAMPLING, 1), max(high // SUPERSAMPLING, 1)), Image.Resampling.BOX)
    )
