"""Writes images of squares and circles in the folder format of Pascal VOC, for gluoncv_ssd.py."""

import os

import numpy as np
from gluoncv.data import VOCDetection
from PIL import Image, ImageDraw

OBJECT = (
    "<object><name>{}</name><difficult>0</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
    "<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)
ANNOTATION = (
    "<annotation><size><width>{0}</width><height>{0}</height><depth>3</depth></size>{1}"
    "</annotation>\n"
)


class Shapes(VOCDetection):
    """What write() wrote, as GluonCV reads it."""

    CLASSES = ("square", "circle")


def write(root, split, count, size, seed):
    """Write ``count`` images, each with one or two shapes in noise, as VOC2007 under ``root``."""
    numbers = np.random.RandomState(seed)
    base = os.path.join(root, "VOC2007")
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        os.makedirs(os.path.join(base, folder), exist_ok=True)
    names = [f"{split}_{number:04d}" for number in range(count)]
    for name in names:
        image = Image.fromarray(numbers.randint(0, 96, (size, size, 3)).astype("uint8"))
        draw, objects = ImageDraw.Draw(image), ""
        for _ in range(numbers.randint(1, 3)):
            kind, side = numbers.randint(2), numbers.randint(size // 4, size // 2)
            x, y = numbers.randint(1, size - side, 2)
            box = [int(edge) for edge in (x, y, x + side, y + side)]
            (draw.rectangle, draw.ellipse)[kind](box, fill=((255, 120, 0), (0, 120, 255))[kind])
            objects += OBJECT.format(Shapes.CLASSES[kind], *box)
        image.save(os.path.join(base, "JPEGImages", name + ".jpg"))
        with open(os.path.join(base, "Annotations", name + ".xml"), "w") as file:
            file.write(ANNOTATION.format(size, objects))
    with open(os.path.join(base, "ImageSets", "Main", split + ".txt"), "w") as file:
        file.write("\n".join(names))
