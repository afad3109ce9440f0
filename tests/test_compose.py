"""What docker-compose.yml says is so: every setting is passed on, and every container has its limits."""

import re
from pathlib import Path

import pytest
import yaml

from service.settings import Settings

COMPOSE = yaml.safe_load((Path(__file__).parent.parent / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]


def test_every_setting_but_address_and_port_is_passed_on():
    passed = {entry.partition("=")[0] for entry in SERVICES["scs"]["environment"]}
    settings = {f"SCS_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in passed if name.startswith("SCS_")} == settings - {"SCS_HOST", "SCS_PORT", "SCS_UDS"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_limits(name):
    service = SERVICES[name]
    assert service["mem_limit"] and service["pids_limit"] > 0
    assert service["logging"]["options"]["max-size"] and service["logging"]["options"]["max-file"]
    assert service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"]
    for tmpfs in service.get("tmpfs", ()):
        assert re.search(r"size=\d+m", tmpfs), tmpfs


@pytest.mark.parametrize("name", ["scs", "gpu"])
def test_the_service_writes_to_no_file_system_of_its_image(name):
    assert SERVICES[name]["read_only"] is True
    writable = [volume for volume in SERVICES[name]["volumes"] if not volume.endswith(":ro")]
    assert writable == ["compiled:/var/cache/scs"]


def test_models_of_ones_own_are_served_from_a_volume():
    environment = dict(entry.partition("=")[::2] for entry in SERVICES["scs"]["environment"])
    assert environment["SCS_MODEL_REPOSITORY"] == "${MODELS:+/models}"
    assert any(volume.endswith(":/models:ro") for volume in SERVICES["scs"]["volumes"])


def test_networks_by_name_are_asked_for_by_one_argument_in_every_image():
    dockerfile = (Path(__file__).parent.parent / "Dockerfile").read_text()
    stages = dockerfile.split("\nFROM ")
    brought = [stage for stage in stages if "COPY --from=networks /src/models/repository models/repository" in stage]
    assert [stage.split()[2] for stage in brought] == ["build-gpu", "build-cpu"]
    (networks,) = [stage for stage in stages if stage.startswith("source AS networks")]
    assert "ARG NETWORKS" in networks and "scs import" in networks
    assert SERVICES["scs"]["build"]["args"]["NETWORKS"] == "${NETWORKS:-}"
