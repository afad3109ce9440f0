"""What a file is, by its first bytes: a picture in a format that is read, or something else that can be named."""

from __future__ import annotations

import re

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIC", "AVIF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".npy")

_LIGHT = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_PROFILES = re.compile(rb"ICC_PROFILE\0|iCCP|ICCP|ICCRGBG1")

_BEGINNINGS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF....WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}

# In the order in which they are tried: the more telling first.
_NAMED = {
    "a raw photograph (Canon CR2)": rb"II\*\0....CR\x02",
    "a raw photograph (Canon CR3)": rb"....ftypcrx ",
    "a raw photograph (Fujifilm RAF)": rb"FUJIFILMCCD-RAW",
    "a raw photograph (Olympus ORF)": rb"IIR[OS]|MMOR",
    "a raw photograph (Panasonic RW2)": rb"IIU\0",
    "a JPEG XL image": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "a JPEG 2000 image": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "a JPEG XR image": rb"II\xbc\x01",
    "a PDF document": rb"[\s\S]{0,1024}?%PDF-",
    "a PostScript document": rb"%!PS|\xc5\xd0\xd3\xc6",
    "a video (MP4 or QuickTime)": rb"....(?:ftyp|moov|mdat|wide|free|skip)",
    "a video (Matroska or WebM)": rb"\x1aE\xdf\xa3",
    "a video (AVI)": rb"RIFF....AVI ",
    "a video (MPEG)": rb"\0\0\x01[\xb3\xba]|G[\s\S]{187}G",
    "a video (Windows Media)": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    "a video (Flash)": rb"FLV\x01",
    "a sound (WAV)": rb"RIFF....WAVE",
    "a sound (MP3)": rb"ID3|\xff[\xf2\xf3\xfb]",
    "a sound (Ogg)": rb"OggS",
    "a sound (FLAC)": rb"fLaC",
    "a Photoshop document": rb"8BPS",
    "a GIMP image": rb"gimp xcf",
    "an OpenEXR image": rb"v/1\x01",
    "a Radiance HDR image": rb"#\?(?:RADIANCE|RGBE)",
    "a DirectDraw surface (DDS)": rb"DDS ",
    "a KTX texture": rb"\xabKTX ",
    "a QOI image": rb"qoif",
    "an Apple icon (ICNS)": rb"icns",
    "a Windows icon (ICO)": rb"\0\0[\x01\x02]\0[^\0]",
    "a Windows metafile": rb"\xd7\xcd\xc6\x9a|\x01\0\0\0[\s\S]{36} EMF",
    "a PNM image (PBM, PGM, PPM or PAM)": rb"P[1-7fF]\s",
    "a PCX image": rb"\x0a[\0-\x05]\x01[\x01\x02\x04\x08]",
    "a Sun raster image": rb"\x59\xa6\x6a\x95",
    "an SGI image": rb"\x01\xda[\0\x01][\x01\x02]",
    "a BPG image": rb"BPG\xfb",
    "a FLIF image": rb"FLIF",
    "a MNG or JNG image": rb"[\x8a\x8b][MJ]NG\r\n\x1a\n",
    "a DjVu document": rb"AT&TFORM",
    "a FITS image": rb"SIMPLE  =",
    "a DICOM image": rb"[\s\S]{128}DICM",
    "a NIfTI image": rb"[\s\S]{344}(?:n\+1|ni1)\0",
    "an HDF5 or MATLAB file": rb"\x89HDF\r\n\x1a\n|MATLAB 5",
    "a NumPy array (.npy), whose type is application/x-npy,": rb"\x93NUMPY",
    "a ZIP archive, or a document in one": rb"PK\x03\x04",
    "a compressed file (gzip)": rb"\x1f\x8b",
    "a compressed file (bzip2)": rb"BZh[1-9]",
    "a compressed file (xz)": rb"\xfd7zXZ\0",
    "a compressed file (Zstandard)": rb"\x28\xb5\x2f\xfd",
    "a 7-Zip archive": rb"7z\xbc\xaf\x27\x1c",
    "a RAR archive": rb"Rar!\x1a\x07",
    "an office document (OLE)": rb"\xd0\xcf\x11\xe0",
    "a program": rb"\x7fELF|MZ",
    "an SVG drawing": rb"(?:\xef\xbb\xbf)?\s*(?:<(?:\?xml|!--|!DOCTYPE svg)[\s\S]{0,900}?)?<svg[\s>/]",
    "a web page (HTML)": rb"(?:\xef\xbb\xbf)?\s*(?:<!--[\s\S]{0,900}?-->\s*)?<(?:!doctype html|html|head|body)",
    "an XML document": rb"(?:\xef\xbb\xbf)?\s*<\?xml",
    "JSON": rb"(?:\xef\xbb\xbf)?\s*[{\[]\s*[\"{\[\d]",
    "a picture as base64 text": rb"(?:data:image/|/9j/|iVBORw0KGgo|R0lGOD|UklGR)",
}
_READ = [(name, re.compile(pattern, re.DOTALL)) for name, pattern in _BEGINNINGS.items()]
_OTHERS = [(name, re.compile(pattern, re.DOTALL | re.IGNORECASE)) for name, pattern in _NAMED.items()]
_LOOKED_AT = 2048  # bytes


def format_of(data: bytes) -> str | None:
    """Return which of ``FORMATS`` a file is in, by its first bytes; None where it is in none of them."""
    if data[:3] == b"\xff\xd8\xff":  # the most frequent first
        return "JPEG"
    if data[4:8] == b"ftyp":
        return _of_brands(data)
    return next((name for name, beginning in _READ if beginning.match(data)), None)


def name_of(data: bytes) -> str | None:
    """Return what a file is that is not read here, with its article; None where it is not recognised."""
    beginning = bytes(data[:_LOOKED_AT])
    return next((name for name, pattern in _OTHERS if pattern.match(beginning)), None)


def is_raw_photograph(data: bytes) -> bool:
    """Return whether a file that begins like a TIFF is the raw photograph of a camera, by its beginning."""
    return data[:4] == b"II*\0" and data[8:11] == b"CR\x02"


def is_light(data: bytes) -> bool:
    """Return whether a small file may be decoded on the event loop: no format that is slow, and no colour profile."""
    return format_of(data) in _LIGHT and not _PROFILES.search(data)


def _of_brands(data: bytes) -> str | None:
    """Return what an ISO media file is, by its brands."""
    end = min(int.from_bytes(data[:4]), _LOOKED_AT)
    brands = [bytes(data[place : place + 4]) for place in (8, *range(16, end, 4))]
    for name, known in (("AVIF", _AVIF_BRANDS), ("HEIC", _HEIC_BRANDS)):
        if brands[0] in known and not (brands[0] in (b"mif1", b"msf1") and _AVIF_BRANDS & {*brands}):
            return name
    return "AVIF" if _AVIF_BRANDS & {*brands} else "HEIC" if _HEIC_BRANDS & {*brands[1:]} else None
