"""Tables of docs/onnx-op.md."""

from results import percent, read, table


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


def quantised():
    rows = []
    for model in read("quantised", "models"):
        for variant in model["int8"]:
            accuracy = variant["accuracy"]
            interval = " to ".join(f"{100 * edge:.2f}" for edge in accuracy["interval_95"])
            times = [
                " / ".join(f"{each['ratio']:.2f}" for each in variant["time"].get(kernels, {}).values())
                for kernels in ("portable", "native")
            ]
            rows.append(
                [
                    f"`{model['model']}` {model['version']}, {variant['scope']}",
                    f"{model['float']['bytes'] / 1000:.0f} to {variant['bytes'] / 1000:.0f}",
                    percent(model["float"]["accuracy"]["share"], 2),
                    f"{percent(accuracy['share'], 2)} ({interval})",
                    percent(variant["same_class_as_float"], 1),
                    *times,
                ]
            )
    heads = ["products in 8 bits", "KB", "accuracy, float", "8 bits (95 % interval)", "same class"]
    return table([*heads, "time by float's, 1 / 64 images", "native kernels"], rows)


TABLES = layers, networks, quantised
