"""What is shipped for Kubernetes and KServe: valid by Kubernetes' schemas, with settings and metrics that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
FILLER = DEPLOY / "kubernetes/filler/pod.yaml"
KUBERNETES = sorted(set((DEPLOY / "kubernetes").glob("*.yaml")) - {DEPLOY / "kubernetes/kustomization.yaml"})
KSERVE = sorted((DEPLOY / "kserve").glob("*.yaml"))


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The containers of a Deployment, a ClusterServingRuntime or an InferenceService."""
    spec = manifest["spec"]
    pod = spec.get("predictor") or spec.get("template", {}).get("spec") or spec
    return pod.get("containers") or [pod["model"]] if "containers" in pod or "model" in pod else []


@pytest.fixture(scope="module")
def validate() -> Any:
    return pytest.importorskip(
        "kubernetes_validate", reason="needs kubernetes-validate, which has the schemas"
    ).validate


@pytest.mark.parametrize("path", [*KUBERNETES, FILLER], ids=lambda path: path.stem)
def test_a_manifest_is_valid(validate, path):
    validate(read(path), "1.31", strict=True)


@pytest.mark.parametrize("path", KSERVE, ids=lambda path: path.stem)
def test_containers_of_kserve_are_those_of_a_valid_pod(validate, path):
    found = [each for each in containers(read(path)) if "image" in each]
    metadata = {"name": "pod"}
    for each in found:
        validate(
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [each]}}, "1.31", True
        )
    assert found or path.stem == "imported"


def test_all_manifests_are_applied_together():
    listed = read(DEPLOY / "kubernetes/kustomization.yaml")["resources"]
    assert sorted(listed) == [path.name for path in KUBERNETES]


@pytest.mark.parametrize("path", [*KUBERNETES, *KSERVE], ids=lambda path: path.stem)
def test_settings_in_a_manifest_are_settings(path):
    named = {each["name"] for container in containers(read(path)) for each in container.get("env", [])}
    assert named <= {f"SCS_{name.upper()}" for name in Settings.model_fields}
    assert named or path.stem not in ("deployment", "runtime", "bundled", "imported")


def test_settings_of_ray_serve_are_settings():
    (application,) = read(DEPLOY / "ray.yaml")["applications"]
    assert set(application["runtime_env"]["env_vars"]) <= {f"SCS_{name.upper()}" for name in Settings.model_fields}


def test_what_selects_pods_selects_those_of_the_deployment():
    files = {path.stem: read(path)["spec"] for path in KUBERNETES}
    labels = files["deployment"]["template"]["metadata"]["labels"]
    assert files["service"]["selector"] == labels
    assert files["network-policy"]["podSelector"]["matchLabels"] == labels
    assert files["disruption-budget"]["selector"]["matchLabels"] == labels
    assert files["deployment"]["selector"]["matchLabels"] == labels


def test_a_pod_has_longer_to_stop_than_the_service_takes():
    pod = read(DEPLOY / "kubernetes/deployment.yaml")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    drain = float(next(each["value"] for each in container["env"] if each["name"] == "SCS_DRAIN_S"))
    probe = container["readinessProbe"]
    assert drain > probe["periodSeconds"] * probe["failureThreshold"]
    assert pod["terminationGracePeriodSeconds"] >= drain + Settings().grace_s + 3


def test_the_autoscaler_goes_by_a_metric_that_is_exported(tmp_path):
    pods = read(DEPLOY / "kubernetes/autoscaler.yaml")["spec"]["metrics"][0]["pods"]
    with TestClient(create_app(Settings(model_repository=tmp_path / "none", device="cpu"))) as client:
        assert f"\n{pods['metric']['name']} " in client.get("/metrics").text


def test_volumes_and_runtimes_have_the_names_by_which_they_are_asked_for():
    pod = read(DEPLOY / "kubernetes/deployment.yaml")["spec"]["template"]["spec"]
    claim = read(DEPLOY / "kubernetes/models.yaml")["metadata"]["name"]
    filler = read(FILLER)["spec"]
    for volume in pod["volumes"][0], filler["volumes"][0]:
        assert volume["persistentVolumeClaim"]["claimName"] == claim
    for who in ("runAsUser", "fsGroup"):  # what one writes, the other may read
        assert filler["securityContext"][who] == pod["securityContext"][who]
    model = read(DEPLOY / "kserve/imported.yaml")["spec"]["predictor"]["model"]
    runtime = read(DEPLOY / "kserve/runtime.yaml")
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] == runtime["spec"]["supportedModelFormats"][0]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    assert model["storageUri"].startswith(f"pvc://{claim}/")
