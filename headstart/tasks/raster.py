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
BACKGROUND = "#ffffff"
SUPERSAMPLING = 3  # supersampling: images are drawn this much larger, then reduced


def raster(drawing: Drawing, size: int = 400) -> UInt8[np.ndarray, "height width 3"]:
    """Returns the drawing in RGB; its longer side has `size` pixels."""
    (left, bottom), (right, top) = drawing.low, drawing.high
    pixels_per_unit = SUPERSAMPLING * size / max(right - left, top - bottom)  # pixels
    width_pixels, height_pixels = (
        max(round(side * pixels_per_unit), SUPERSAMPLING) for side in (right - left, top - bottom)
    )
    image = Image.new("RGB", (width_pixels, height_pixels), BACKGROUND)
    canvas = ImageDraw.Draw(image)

    def to_pixels(point: Point) -> Point:
        x, y = point
        return (x - left) * pixels_per_unit, (top - y) * pixels_per_unit

    def draw_disc(centre: Point, radius: float, colour: str) -> None:
        x, y = to_pixels(centre)
        radius_pixels = radius * pixels_per_unit
        canvas.ellipse((x - radius_pixels, y - radius_pixels, x + radius_pixels, y + radius_pixels), fill=colour)

    for shape in drawing.shapes:
        colour = COLOURS[shape.role]
        if isinstance(shape, Disc):
            draw_disc(shape.centre, shape.radius, colour)
        elif isinstance(shape, Line):
            canvas.line(
                [to_pixels(point) for point in shape.points],
                fill=colour,
                width=max(round(shape.width * pixels_per_unit), 1),
            )
            for point in shape.points:  # round ends and joints
                draw_disc(point, shape.width / 2, colour)
        else:
            canvas.polygon([to_pixels(point) for point in shape.points], fill=colour)
    return np.asarray(
        image.resize(
            (max(width_pixels // SUPERSAMPLING, 1), max(height_pixels // SUPERSAMPLING, 1)), Image.Resampling.BOX
        )
    )
