"""JPEG, WebP, GIF, BMP, HEIC and AVIF files, read by Pillow."""

from __future__ import annotations

import io

from PIL import ExifTags, Image

from scs.errors import ImageError
from service.pictures.bounds import is_sound_exif
from service.pictures.colour_profile import to_srgb
from service.pictures.picture import Size
from service.pictures.picture_file import PictureFile
from service.pictures.unended_jpeg import with_end

_GREY_MODES = ("1", "L", "LA", "La")
_READ = ("L", "LA", "RGB", "RGBA", "CMYK")
_ABOUT = {"exif", "xmp"}  # what Pillow finds an orientation in
_ORIENTED = ("JPEG", "WEBP", "AVIF")  # HEIC is turned by its library


class PillowFile(PictureFile):
    """A picture file that Pillow reads.

    Args:
        data: its bytes.
        kind: its format, as ``format_of`` gives it.

    Raises:
        ImageError: its header is truncated or damaged.
    """

    def __init__(self, data: bytes, kind: str) -> None:
        self.kind, self._data = kind, data
        self._image = self._open(data)
        self.size: Size = self._image.size
        self.is_grey = self._image.mode in _GREY_MODES

    def _open(self, data: bytes) -> Image.Image:
        if self.kind == "HEIC":
            import pi_heif

            pi_heif.register_heif_opener(thumbnails=False)
        try:
            return Image.open(io.BytesIO(data), formats=["HEIF" if self.kind == "HEIC" else self.kind])
        except Exception as error:  # whatever a plugin stumbles over
            message = f"the {self.kind} image's header is truncated or damaged, or of a variant that is not read"
            raise ImageError(message) from error

    def _decode(self, least: Size | None, grey: bool) -> Image.Image:
        if self.kind == "GIF":
            return self._first_frame()
        image = self._image
        if self.kind == "JPEG" and (least is not None or grey):
            # The brightness alone, unless a profile says what colours look like.
            image.draft("L" if grey and "icc_profile" not in image.info else None, least)
        try:
            image.load()
        except OSError:
            ended = with_end(self._data) if self.kind == "JPEG" else None
            if ended is None:
                raise
            self._image = image = self._open(ended)
            image.load()
        return to_srgb(_plain(image), image.info.get("icc_profile"))

    def _first_frame(self) -> Image.Image:
        """Decode a GIF's first frame onto its canvas, which is transparent where the frame is not."""
        image = self._image
        tiles = getattr(image, "tile", [])
        box = tiles[0].extents if tiles else None
        image.load()
        if box is None or box == (0, 0, *image.size):
            return _plain(image)
        canvas = Image.new("RGBA", image.size, (255, 255, 255, 0))
        canvas.paste(image.convert("RGBA").crop(box), box)
        return canvas

    def _orientation(self) -> int:
        if self.kind not in _ORIENTED or not _ABOUT & self._image.info.keys():
            return 1
        try:
            if not is_sound_exif(self._image.info.get("exif", b"")):
                return 1
            return int(self._image.getexif().get(ExifTags.Base.Orientation, 1))
        except Exception:  # a picture that can be seen is not refused for its metadata
            return 1


def _plain(image: Image.Image) -> Image.Image:
    """Convert palettes and the like to one of the modes that colours are converted from."""
    if image.mode in _READ and not (image.mode in ("L", "RGB") and image.has_transparency_data):
        return image
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")
