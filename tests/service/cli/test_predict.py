"""`scs predict`: pictures and folders, here and at a server."""

import json
import os
import shutil
import subprocess
import sys

import pytest


def test_predict_here_and_at_a_server_say_the_same(scs, photo, server):
    here, there = (scs("predict", photo, "--json", "--top-k", 3, *extra) for extra in ((), ("--url", server)))
    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    assert json.loads(here.stdout)["predictions"] == json.loads(there.stdout)["predictions"]
    assert len(json.loads(here.stdout)["predictions"][0]["classes"]) == 3


def test_predict_prints_a_table_for_people(scs, photo):
    shown = scs("predict", photo)
    assert shown.returncode == 0 and "cat.jpg" in shown.stdout and "%" in shown.stdout


@pytest.mark.parametrize("at_a_server", [False, True])
def test_predict_answers_for_a_folder_and_says_which_picture_is_broken(scs, photo, server, tmp_path, at_a_server):
    folder = tmp_path / "holiday"
    folder.mkdir()
    for number in range(66):  # more than one request may hold
        (folder / f"{number:02}.jpg").write_bytes(photo.read_bytes())
    (folder / "40.jpg").write_bytes(photo.read_bytes()[:2000])
    extra = ("--url", server) if at_a_server else ()

    made = scs("predict", "holiday", "none.jpg", "--json", "--top-k", 1, *extra)
    answer = json.loads(made.stdout)

    assert made.returncode == 1
    assert len(answer["predictions"]) == 65
    assert [(each["name"], each["number"]) for each in answer["failures"]] == [("holiday/40.jpg", 41), ("none.jpg", 67)]
    assert "scs: holiday/40.jpg (number 41 of 67): the JPEG image is truncated" in made.stderr
    assert "scs: none.jpg (number 67 of 67): No such file" in made.stderr


def test_predict_stops_at_the_first_broken_picture_if_asked_to(scs, photo, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(photo.read_bytes()[:2000])
    made = scs("predict", photo, "broken.jpg", "--no-partial")
    assert made.returncode == 1 and "'broken.jpg', number 2 of 2" in made.stderr and not made.stdout


def test_serving_and_predicting_need_no_torch(photo, repository, tmp_path):
    """Torch is blocked, as in an environment that has none: training says what it needs, the rest works."""
    block = "import sys; sys.modules['torch'] = None; sys.argv[1:] = {}; from service.cli.main import main; main()"
    variables = {"MODEL_REPOSITORY": repository, "DEFAULT_MODEL": "shapes-scs", "ALLOW_TORCHSCRIPT": "true"}
    environment = {**os.environ, **{f"SCS_{name}": str(value) for name, value in variables.items()}}
    outcomes = [
        subprocess.run([sys.executable, "-c", block.format(arguments)], capture_output=True, text=True, env=environment)
        for arguments in (
            ["predict", str(photo)],
            ["train", "mnist-scs"],
            ["predict", str(photo), "--model", "shapes-script"],
            ["evaluate", "shapes-scs", "--attacks"],
            ["visualize", "shapes-scs", "stem", "0", "--out", "k.png"],
        )
    ]
    assert outcomes[0].returncode == 0, outcomes[0].stderr
    for outcome in outcomes[1:]:
        assert outcome.returncode == 1 and "needs torch" in outcome.stderr and "scs-serve[train]" in outcome.stderr


def test_torchscript_runs_here_only_where_it_is_allowed(scs, photo):
    model = ("--model", "shapes-script")
    refused = scs("predict", photo, *model, SCS_ALLOW_TORCHSCRIPT="false")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert "SCS_ALLOW_TORCHSCRIPT" in refused.stderr
    assert scs("predict", photo, *model).returncode == 0


def test_a_version_may_be_named_by_a_label(scs, photo, repository, tmp_path):
    own = shutil.copytree(repository, tmp_path / "models")
    (own / "shapes-scs" / "labels.json").write_text('{"stable": 1}')
    arguments = ("predict", photo, "--repository", own, "--json", "--version")
    assert json.loads(scs(*arguments, "stable").stdout)["version"] == 1
    refused = scs(*arguments, "canary")
    assert refused.returncode == 2 and "no version canary of shapes-scs; there are: 1, stable" in refused.stderr


def test_asking_for_cuda_where_there_is_none_is_one_line(scs):
    from models.runtime.load import cuda_obstacle

    if cuda_obstacle() is None:
        pytest.skip("CUDA works here: there is nothing to refuse")
    refused = scs("serve", SCS_DEVICE="cuda")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert "SCS_DEVICE=cuda needs a working CUDA device" in refused.stderr
