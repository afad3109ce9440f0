"""Tables of docs/onnx-op.md."""

from results import read, table


def against_convolution(lines, words, name):
    """Of lines of bench/layer.py: their words, the time of the convolution, and ratios to it."""
    rows = []
    for line in lines:
        sides = line["sides"]
        ratios = [f"{sides[kind]['ratio']:.2f}" for kind in ("native", "portable")]
        rows.append([words(line), line["threads"], f"{sides['conv']['median_ms']:.3g}", *ratios])
    return table([name, "threads", "convolution, ms", "native", "portable"], rows)


def layers():
    def words(line):
        images, channels, kernels, side, size = line["shape"]
        return f"{images}, {channels}, {kernels}, {side}x{side}, {size}x{size}"

    return against_convolution(read("layer", "layers"), words, "images, channels, kernels, pixels, window")


def networks():
    return against_convolution(
        read("layer", "networks"), lambda line: f"`{line['name']}`, batch {line['batch']}", "network"
    )


TABLES = layers, networks
