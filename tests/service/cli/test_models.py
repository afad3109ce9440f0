"""`scs models`: the list, and what each is made of."""

import json
import shutil


def test_models_lists_them_here_and_at_a_server(scs, server):
    here, there = scs("models", "--json"), scs("models", "--json", "--url", server)
    names = {"shapes-scs", "shapes-conv", "shapes-script"}
    assert {card["name"] for card in json.loads(here.stdout)} == names
    assert {model["name"] for model in json.loads(there.stdout)["models"]} == names
    assert "shapes-scs" in scs("models").stdout and "on cpu" in scs("models", "--url", server).stdout


def test_models_show_puts_a_network_beside_its_dense_twin(scs, server):
    asked = ("models", "show", "shapes-conv", "--json")
    here, there = (json.loads(scs(*asked, *extra).stdout) for extra in ((), ("--url", server)))
    assert here["card"] == there["card"] and here["dense_parameters"] == there["dense_parameters"]
    stem = there["layers"][0]
    assert stem == {"name": "stem", "maps": [16, 16, 8], "dense_parameters": (16 * 16 * 3 + 1) * 16 * 16 * 8}
    assert {key: here["layers"][0][key] for key in stem} == stem
    assert here["dense_parameters"] == sum(layer["dense_parameters"] for layer in here["layers"])
    shown = " ".join(scs("models", "show", "shapes-conv").stdout.split())
    assert "stem" in shown and f"{here['card']['parameters']:,} parameters" in shown
    assert f"{here['dense_parameters']:,}" in shown


def test_models_show_has_the_parameters_and_the_time_of_each_layer(scs):
    shown = json.loads(scs("models", "show", "shapes-conv", "--json").stdout)
    for layer in shown["layers"]:
        assert layer["parameters"] > 0 and layer["milliseconds"] > 0 and layer["receptive_field"]["size"] > 1
    assert shown["head"]["milliseconds"] > 0
    table = scs("models", "show", "shapes-conv").stdout
    assert "the rest" in table and "ms for a picture of 16x16" in table


def test_models_show_has_the_layers_of_a_program_from_its_card(scs):
    shown = scs("models", "show", "shapes-script")
    assert shown.returncode == 0 and "stem" in shown.stdout and "ms for" not in shown.stdout


def test_one_bad_card_does_not_hide_the_other_models(scs, tmp_path, repository):
    shutil.copytree(repository, tmp_path / "models")
    (tmp_path / "models" / "shapes-conv" / "1" / "card.json").write_text("{}")
    listed = scs("models", "--json", "--repository", tmp_path / "models")
    assert listed.returncode == 0 and "shapes-conv 1" in listed.stderr
    assert {card["name"] for card in json.loads(listed.stdout)} == {"shapes-scs", "shapes-script"}
