"""What docs/ray.md says is so: its figures are those that were measured, what it names is in the configuration."""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "ray.md").read_text()


def test_the_table_has_what_was_measured():
    rows = re.findall(r"^\|.*\| (\d+) \| ([\d.]+) \(.*\| ([\d.]+) \(", PAGE, re.MULTILINE)
    cases = json.loads((ROOT / "bench" / "results" / "ray-serve.json").read_text())["cases"]
    measured = [
        (str(case["connections"]), *(f"{case['sides'][side]['of_scs_serve'][1]:.2f}" for side in case["sides"]))
        for case in cases
    ]
    assert rows == [(connections, own, haproxy) for connections, _, own, haproxy in measured]


def test_what_it_says_of_the_configuration_is_in_the_configuration_that_is_shipped():
    (application,) = yaml.safe_load((ROOT / "deploy" / "ray.yaml").read_text())["applications"]
    (deployment,) = application["deployments"]
    assert application["import_path"] in PAGE
    assert {"route_prefix", "runtime_env"} <= application.keys() and "num_cpus" in deployment["ray_actor_options"]
    assert "target_ongoing_requests" in deployment["autoscaling_config"]
