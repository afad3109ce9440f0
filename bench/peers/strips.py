"""The best places of a template in a large TIFF by a plain script: OpenCV, strip by strip."""

import sys

import cv2
import numpy as np
import tifffile
import zarr

ROWS = 1024  # of a strip, less what it shares with the next
TOP = 5

if __name__ == "__main__":
    path, template, threads = sys.argv[1:]
    cv2.setNumThreads(int(threads))
    template = cv2.imread(template, cv2.IMREAD_GRAYSCALE)
    height, width = template.shape
    picture = zarr.open_array(tifffile.TiffFile(path).series[0].aszarr(), mode="r")
    best = []
    for top in range(0, picture.shape[0] - height + 1, ROWS):
        strip = np.asarray(picture[top : top + ROWS + height - 1])
        scores = cv2.matchTemplate(strip, template, cv2.TM_CCOEFF_NORMED)
        for _ in range(TOP):
            _, score, _, (x, y) = cv2.minMaxLoc(scores)
            best.append((score, top + y, x))
            scores[max(0, y - height // 2) : y + height // 2, max(0, x - width // 2) : x + width // 2] = -1
    for score, row, column in sorted(best, reverse=True)[:TOP]:
        print(row, column, round(score, 4))
