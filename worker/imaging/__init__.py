"""Pictures: facts from the header, and renditions from a single decode. The only package that imports Pillow."""

from worker.imaging.facts import inspect_image
from worker.imaging.rendering import Result, render

__all__ = ["Result", "inspect_image", "render"]
