"""The service on Ray Serve: what Ray gives a replica, the configuration that is shipped, and a node that dies."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
import yaml

from scs.errors import OptionError
from service.client import Client
from service.settings import Settings

pytest.importorskip("ray.serve", reason="needs Ray Serve, which the extra `ray` brings")

pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray: its sockets, files, threads and deprecations

ROOT = Path(__file__).parents[3]
PICTURE = ROOT / "docs/pictures/cat.jpg"


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port


def test_a_replica_has_as_many_threads_as_ray_gives_it_cores():
    from service.scaleout.ray import settings_of_replica

    settings = Settings(device="cpu", workers=4)
    assert settings_of_replica(settings, {"CPU": 2.0}).threads == 2
    assert settings_of_replica(settings, {"CPU": 0.25, "GPU": 0.25}).threads == 1
    assert settings_of_replica(settings, {}).workers == 1
    assert settings_of_replica(Settings(device="cpu", threads=3), {"CPU": 1.0}).threads == 3


def test_a_port_for_grpc_is_refused():
    from service.scaleout.ray import settings_of_replica

    with pytest.raises(OptionError, match="Ray Serve hands on HTTP alone"):
        settings_of_replica(Settings(device="cpu", grpc_port=9000), {})


def test_the_configuration_that_is_shipped_is_one_of_ray_serve():
    from ray.serve.schema import ServeDeploySchema

    from service.scaleout.ray import deployment

    config = ServeDeploySchema.model_validate(yaml.safe_load((ROOT / "deploy/ray.yaml").read_text()))
    (application,) = config.applications
    assert application.import_path == "service.scaleout.ray:app"
    assert [each.name for each in application.deployments] == [deployment.name]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_question_is_answered_though_a_node_dies_under_load(unused_port):
    import ray
    from ray import serve
    from ray.cluster_utils import Cluster

    from service.scaleout.ray import deployment

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
    try:
        ray.init(cluster.address, log_to_driver=False)
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": unused_port})
        replicas = deployment.options(autoscaling_config=None, num_replicas=3, max_replicas_per_node=1)
        serve.run(replicas.bind())
        answers, failures = asked_while(f"http://127.0.0.1:{unused_port}", lambda: cluster.remove_node(nodes[0], False))
        assert failures == []
        assert set(answers) == {"cat"} and len(answers) > 50
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()


def asked_while(url, kill, threads=8, before_s=3.0, after_s=10.0):
    """Ask from several threads, a client each; kill in between. Return the answers, and what was raised."""
    answers, failures, stop = [], [], threading.Event()

    def ask() -> None:
        with Client(url, patience_s=60) as client:
            while not stop.is_set():
                try:
                    answers.append(client.predict(PICTURE, top_k=1).label)
                except Exception as error:
                    failures.append(error)

    asking = [threading.Thread(target=ask) for _ in range(threads)]
    for each in asking:
        each.start()
    time.sleep(before_s)
    kill()
    time.sleep(after_s)
    stop.set()
    for each in asking:
        each.join()
    return answers, failures
