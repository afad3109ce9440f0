"""Tables of docs/lab that are not made of a topic's figures."""

from results import percent, read, table

from models.cards.catalogue import bundled_repository, entries


def followed():
    """How the models of the package follow a shift by one pixel, from their cards."""
    rows = []
    for entry in entries(bundled_repository()):
        card = entry.card()
        if not card.equivariance:
            rows.append([f"`{card.name}` {card.version}", *["not measured yet"] * 4])
            continue
        served, alone = card.equivariance.as_served, card.equivariance.without_borders
        for part, words in ((served, ""), (alone, ", without borders")):
            features = list(part.layers.values())[:-1]  # then comes the class map
            cells = [f"{error:.3f}" for error in (features[0], features[-1], part.logits)]
            rows.append([f"`{card.name}` {card.version}{words}", *cells, percent(part.class_kept, 1)])
    return table(["", "stem", "last block", "logits", "class kept"], rows)


def blurred():
    """Networks with and without a blur before their maps are halved."""
    rows = []
    for name, found in read("seeds", "blurred").items():
        for which, one in found.items():
            mean = one["mean"]
            pairs = [(mean[key], mean[f"{key}_without_borders"]) for key in ("last_layer", "logits")]
            kept = mean["class_kept"], mean["class_kept_without_borders"]
            spread = "" if one["accuracy_spread"] is None else f" ± {100 * one['accuracy_spread']:.2f}"
            rows.append(
                [
                    f"`{name}`{', blurred' if which == 'blurred' else ''}, seeds: {one['seeds']}",
                    f"{percent(mean['accuracy'], 2)}{spread}",
                    *(f"{served:.3f} ({alone:.3f})" for served, alone in pairs),
                    f"{percent(kept[0], 1)} ({percent(kept[1], 1)})",
                ]
            )
    return table(["", "accuracy", "error of the last layer", "of the logits", "class kept"], rows)


def wishes():
    """Area under the ROC curve of each kernel made of what a network would like to see, and of its peers."""
    networks, photographs = read("wishes", "networks"), read("wishes", "photographs")
    rows = [
        [kernel, *(with_interval(found[kernel]) for found in networks.values())]
        for kernel in next(iter(networks.values()))
    ]
    rows += [[kernel, with_interval(found), ""] for kernel, found in photographs.items()]
    return table(["template", *(f"`{name}`" for name in networks)], rows)


def with_interval(found):
    low, high = found["interval_95"]
    return f"{found['auc']:.2f} ({low:.2f} to {high:.2f})"


TABLES = followed, blurred, wishes
