import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from models.cards.catalogue import bundled_repository
from scs.errors import OptionError
from service.settings import Settings, injected_variables, read_settings

FROM_ENVIRONMENT = {
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("9000", 9000),
    "uds": ("/run/scs.sock", Path("/run/scs.sock")),
    "allowed_hosts": ("models.example.org, [::2]", ("models.example.org", "[::2]")),
    "root_path": ("/vision/scs/", "/vision/scs"),
    "grpc_port": ("9001", 9001),
    "grpc_tls_cert": ("/tls/tls.crt", Path("/tls/tls.crt")),
    "grpc_tls_key": ("/tls/tls.key", Path("/tls/tls.key")),
    "api_key": ("a-key-of-sixteen", SecretStr("a-key-of-sixteen")),
    "cors_origins": ("https://a.org, http://b.org:8080", ("https://a.org", "http://b.org:8080")),
    "max_memory_bytes": ("1000000000", 1_000_000_000),
    "load_timeout_s": ("2.5", 2.5),
    "model_repository": ("/some/models", Path("/some/models")),
    "default_model": ("mnist-conv", "mnist-conv"),
    "repository_wait_s": ("2.5", 2.5),
    "versions": ("1,3", "1,3"),
    "repository_poll_s": ("2.5", 2.5),
    "device": ("cpu", "cpu"),
    "allow_torchscript": ("true", True),
    "threads": ("3", 3),
    "max_body_bytes": ("1000", 1000),
    "body_timeout_s": ("1.5", 1.5),
    "max_kept_bytes": ("7000", 7000),
    "workers": ("3", 3),
    "keep_pictures_s": ("2.5", 2.5),
    "send_timeout_s": ("2.5", 2.5),
    "keep_alive_s": ("3.5", 3.5),
    "max_pixels": ("2000", 2000),
    "max_analysed_pixels": ("3000", 3000),
    "draft_jpeg": ("true", True),
    "max_masked_pixels": ("4000", 4000),
    "max_batch_size": ("8", 8),
    "max_queue_delay_us": ("50", 50),
    "max_queue": ("16", 16),
    "max_waiting_jobs": ("3", 3),
    "max_templates": ("4", 4),
    "max_match_pixels": ("5000", 5000),
    "max_match_work": ("6000", 6000),
    "request_timeout_s": ("0.5", 0.5),
    "drain_s": ("2.5", 2.5),
    "grace_s": ("1.5", 1.5),
    "log_level": ("warning", "warning"),
    "log_format": ("json", "json"),
}
WRONG = {
    "port": ["-1", "65536", "http", "80.5"],
    "grpc_port": ["-1", "65536", "http"],
    "root_path": ["vision", "//evil.org", "/a//b", "/a?b", "/a b", "https://a.org/b"],
    "repository_wait_s": ["-1", "inf", "nan", "long"],
    "workers": ["0", "257", "many", "1.5"],
    "versions": ["newest", "0", "1,,2", "1,x", "-1", "LATEST"],
    "api_key": [
        "short",
        "fifteen letters",
        "a key with spaces in it",
        "ein-schlüssel-mit-umlaut",
        "a-key-of-sixteen\n",
    ],
    "repository_poll_s": ["-1", "inf", "nan", "often"],
    "device": ["gpu", "CUDA"],
    "allow_torchscript": ["perhaps", "2"],
    "threads": ["0", "-1", "many", "1.5"],
    "max_body_bytes": ["0", "-1", "much", "1.5"],
    "cors_origins": ["example.org", "https://example.org/", "https://*.org", "https://a.org, b"],
    "allowed_hosts": ["https://example.org", "example.org:80", "::1", "*.org", "a, b c", "[x]"],
    "body_timeout_s": ["0", "-1", "inf", "nan", "long"],
    "send_timeout_s": ["0", "-1", "inf", "nan", "long"],
    "keep_alive_s": ["0", "-1", "inf", "nan", "long"],
    "max_pixels": ["0", "-1", "much"],
    "max_analysed_pixels": ["0", "-1", "much"],
    "draft_jpeg": ["perhaps", "2"],
    "max_masked_pixels": ["0", "-1", "much"],
    "max_batch_size": ["0", "-1", "many"],
    "max_queue_delay_us": ["-1", "long", "1.5"],
    "max_queue": ["0", "-1", "many"],
    "max_waiting_jobs": ["0", "-1", "many"],
    "max_templates": ["0", "-1", "many"],
    "max_match_pixels": ["0", "-1", "much"],
    "max_match_work": ["0", "-1", "much"],
    "request_timeout_s": ["0", "-1", "inf", "nan", "long"],
    "drain_s": ["-1", "inf", "nan", "long"],
    "grace_s": ["-1", "inf", "nan", "long"],
    "log_level": ["INFO", "loud"],
    "log_format": ["xml"],
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SCS_{name.upper()}", raising=False)


def test_every_setting_is_tested_here():
    assert set(FROM_ENVIRONMENT) == set(Settings.model_fields)


@pytest.mark.parametrize("name", FROM_ENVIRONMENT)
def test_a_setting_comes_from_its_variable(monkeypatch, name):
    text, value = FROM_ENVIRONMENT[name]
    assert getattr(Settings(), name) != value or name == "device"
    monkeypatch.setenv(f"SCS_{name.upper()}", text)
    assert getattr(Settings(), name) == value


def test_without_variables_the_bundled_models_are_served_to_this_machine_only():
    settings = Settings()
    assert (settings.host, settings.port, settings.device) == ("127.0.0.1", 8000, "auto")
    assert settings.default_model == "cifar10-scs"
    assert settings.model_repository == bundled_repository()


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_a_wrong_value_is_refused_with_the_name_of_its_setting(monkeypatch, name, text):
    monkeypatch.setenv(f"SCS_{name.upper()}", text)
    with pytest.raises(ValidationError, match=name):
        Settings()


def test_every_setting_is_described():
    assert all(field.description for field in Settings.model_fields.values())


def test_a_key_that_is_refused_is_not_repeated(monkeypatch):
    monkeypatch.setenv("SCS_API_KEY", "hunter2")
    with pytest.raises(OptionError, match="SCS_API_KEY: the key needs 16 or more .*; 7 characters came") as error:
        read_settings()
    assert "hunter2" not in str(error.value)
    with pytest.raises(ValidationError) as error:
        Settings()
    assert "hunter2" not in str(error.value)


def test_a_key_is_not_shown_with_the_settings():
    assert "a-key-of-sixteen" not in repr(Settings(api_key="a-key-of-sixteen"))


@pytest.mark.parametrize("name", FROM_ENVIRONMENT)
def test_an_empty_variable_is_not_set(monkeypatch, name):
    default = getattr(Settings(), name)
    monkeypatch.setenv(f"SCS_{name.upper()}", "")
    assert getattr(Settings(), name) == default


@pytest.mark.parametrize("name", ["port", "grpc_port"])
def test_an_address_that_kubernetes_sets_for_a_service_of_this_name_is_ignored(monkeypatch, name):
    default = getattr(Settings(), name)
    monkeypatch.setenv(f"SCS_{name.upper()}", "tcp://10.0.0.1:8000")
    monkeypatch.setenv("SCS_PORT_8000_TCP", "tcp://10.0.0.1:8000")
    monkeypatch.setenv("SCS_PORT_8000_TCP_PORT", "8000")
    monkeypatch.setenv("SCS_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("SCS_SERVICE_PORT", "8000")
    assert getattr(read_settings(), name) == default
    assert injected_variables() == [f"SCS_{name.upper()}"]
    assert read_settings(port=9000).port == 9000


def test_a_wrong_version_policy_says_what_is_possible(monkeypatch):
    monkeypatch.setenv("SCS_VERSIONS", "newest")
    with pytest.raises(OptionError, match="SCS_VERSIONS: versions are 'all', 'latest', or numbers .*; 'newest' came"):
        read_settings()


@pytest.mark.parametrize(("system", "workers"), [("linux", 3), ("darwin", 1)])
def test_auto_is_a_worker_for_each_core_where_workers_can_share_a_port(monkeypatch, system, workers):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setenv("SCS_THREADS", "3")
    monkeypatch.setenv("SCS_WORKERS", "auto")
    assert read_settings().workers == workers
    assert read_settings(workers="2").workers == 2
    with pytest.raises(OptionError, match="^SCS_WORKERS: a number of processes, or auto, was needed; 'all' came$"):
        read_settings(workers="all")
