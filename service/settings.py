"""Settings of the service, each from an environment variable ``SCS_…``."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import PydanticCustomError, PydanticUseDefault
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.cards.catalogue import bundled_repository
from scs.cores import usable_cores
from scs.errors import OptionError
from service.memory_budget import default_budget
from service.observability.logs import LogFormat, LogLevel
from service.repository.policy import VersionPolicy

_DAY_S = 86_400.0
MOST_WORKERS = 256
WORK = 600_000_000  # a 4K picture in colour, its template in any pose; upright, 24 such templates
ROOT_PATH = r"(/[A-Za-z0-9._~-]+)+"
_INJECTED = r"(tcp|udp|sctp)://.*"  # Kubernetes sets <NAME>_PORT to an address, for each Service of the namespace
LEAST_KEY = 16  # characters; of random letters and digits, 95 bits


def _checked_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if len(text) < LEAST_KEY or not all("!" <= letter <= "~" for letter in text):
        raise PydanticCustomError(
            "key",
            "the key needs {least} or more letters, digits and signs of ASCII, without spaces; {came} came",
            {"least": LEAST_KEY, "came": f"{len(text)} characters" if len(text) < LEAST_KEY else "others"},
        )
    return key


def _split(value: object) -> object:
    return tuple(filter(None, (part.strip() for part in value.split(",")))) if isinstance(value, str) else value


def _checked_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/\s?#*]+", origin):
            raise PydanticCustomError("origin", "an origin is like https://example.org, without a path, or *")
    return origins


def _checked_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        if host != "*" and not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", host):
            raise PydanticCustomError(
                "host", "a host is like models.example.org or [2001:db8::1], without scheme and port, or *"
            )
    return hosts


def _counted(value: object) -> object:
    """Return one worker a core for ``auto``; elsewhere than on Linux, where workers cannot share a port, one."""
    if isinstance(value, str) and not re.fullmatch(r"auto|-?\d+", value):
        raise PydanticCustomError("workers", "a number of processes, or auto, was needed")
    if value != "auto":
        return value
    return min(usable_cores(), MOST_WORKERS) if sys.platform == "linux" else 1


def _unless_injected(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(_INJECTED, value):
        raise PydanticUseDefault
    return value


def _checked_root_path(path: str) -> str | None:
    path = path.rstrip("/")
    if path and not re.fullmatch(ROOT_PATH, path):
        raise PydanticCustomError("path", "a path is like /models/scs, of letters, digits, '.', '_', '~' and '-'")
    return path or None


def _checked_versions(text: str) -> str:
    try:
        return VersionPolicy(text).text
    except OptionError as error:
        raise PydanticCustomError("versions", "{why}", {"why": str(error).partition(";")[0]}) from None


class Settings(BaseSettings):
    """The settings of the service; docs/settings.md has a table of these, and a test compares the two."""

    model_config = SettingsConfigDict(env_prefix="SCS_", hide_input_in_errors=True, env_ignore_empty=True)

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: Annotated[int, BeforeValidator(_unless_injected)] = Field(
        8000, ge=0, le=65535, description="Port to listen on."
    )
    uds: Path | None = Field(
        None, description="Path of a Unix socket to listen on, in place of the host and the port; none unless set."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_checked_hosts)] = (
        Field(
            (),
            description="Names by which the service may be asked, beside this machine's own (localhost), with commas "
            "between them; unless set, any where others can reach it, else this machine's own.",
        )
    )
    root_path: Annotated[str | None, AfterValidator(lambda path: path and _checked_root_path(path))] = Field(
        None, description="Path prefix below which a proxy shows the service, whether or not it strips it."
    )
    grpc_port: Annotated[int | None, BeforeValidator(_unless_injected)] = Field(
        None, ge=0, le=65535, description="Port of the inference protocol over gRPC; none is opened unless it is set."
    )
    grpc_tls_cert: Path | None = Field(
        None, description="File of the certificate chain for gRPC, PEM; with it and its key, gRPC has TLS."
    )
    grpc_tls_key: Path | None = Field(None, description="File of the certificate's private key, PEM.")
    api_key: Annotated[SecretStr, AfterValidator(_checked_key)] | None = Field(
        None,
        description="Key that every request but for health and the explorer's files needs; none is asked for unless it "
        "is set.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_checked_origins)] = (
        Field((), description="Origins whose pages may ask from a browser, with commas between them; none unless set.")
    )
    model_repository: Path = Field(
        default_factory=bundled_repository, description="Folder of models; those that come with the package."
    )
    repository_wait_s: float = Field(
        0.0, ge=0, le=_DAY_S, description="Seconds that the start waits for the folder of models to appear."
    )
    versions: Annotated[str, AfterValidator(_checked_versions)] = Field(
        "all", description="Versions of each model that are loaded: `all`, `latest`, or numbers with commas."
    )
    repository_poll_s: float = Field(
        0.0, ge=0, le=_DAY_S, description="Seconds between two looks for changed files; 0: none."
    )
    default_model: str = Field("cifar10-scs", description="Model of a request that names none.")
    allow_torchscript: bool = Field(
        False, description="Whether models are loaded whose files are TorchScript, which is code."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="`auto` takes CUDA where it works.")
    threads: int | None = Field(
        None, gt=0, le=4096, description="Threads of heavy work; the cores that affinity and quota allow unless set."
    )
    workers: Annotated[int, BeforeValidator(_counted)] = Field(
        1,
        ge=1,
        le=MOST_WORKERS,
        description="Processes that answer requests, each with an event loop of its own; `auto` takes as many as the "
        "processor quota pays for.",
    )
    max_body_bytes: int = Field(32 * 2**20, gt=0, description="Largest request body.")
    body_timeout_s: float = Field(
        30.0,
        gt=0,
        le=_DAY_S,
        description="Seconds that a request's body may take to arrive, and one more for each 16 KiB of it.",
    )
    max_memory_bytes: int = Field(
        default_factory=default_budget,
        gt=0,
        description="Bytes that all requests may take together; six tenths of what the container or machine has.",
    )
    max_kept_bytes: int = Field(
        256 * 2**20,
        ge=0,
        description="Most bytes of pictures and their features that are kept for further questions; 0: none.",
    )
    keep_pictures_s: float = Field(
        600.0,
        ge=0,
        le=_DAY_S,
        description="Seconds that a picture and its features are kept after the last question; 0: none.",
    )
    send_timeout_s: float = Field(
        30.0, gt=0, le=_DAY_S, description="Seconds for which a client may take nothing of its answer."
    )
    keep_alive_s: float = Field(
        75.0, gt=0, le=_DAY_S, description="Seconds that a connection may rest between two requests."
    )
    max_pixels: int = Field(50_000_000, gt=0, description="Largest picture that is decoded, in pixels.")
    max_analysed_pixels: int = Field(
        4 * 2**20, gt=0, description="Largest picture that a network is run on, in pixels, once it is resized."
    )
    draft_jpeg: bool = Field(
        False,
        description="Whether a JPEG that is resized is decoded at a fraction of its size: three times as fast, and "
        "a picture in thirty of another class.",
    )
    max_masked_pixels: int = Field(
        64 * 2**20,
        gt=0,
        description="Most pixels of partly hidden pictures that a network is run on for a class map, in sum.",
    )
    max_batch_size: int = Field(32, gt=0, description="Most images that go through a network together.")
    max_queue_delay_us: int = Field(
        0, ge=0, le=1_000_000, description="Microseconds that an idle network waits for more images."
    )
    max_queue: int = Field(256, gt=0, description="Most images that wait for a network; one more is refused.")
    max_waiting_jobs: int = Field(
        32, gt=0, description="Most matches, activations or decodings of large pictures that wait; one more is refused."
    )
    max_templates: int = Field(64, gt=0, description="Most templates of one match.")
    max_match_pixels: int = Field(
        16 * 2**20, gt=0, description="Largest scene, template or reference that is matched, in pixels."
    )
    max_match_work: int = Field(
        WORK,
        gt=0,
        description="Most work of one match, a unit being one template by ccoeff_normed at one number of the scene.",
    )
    load_timeout_s: float = Field(
        60.0, gt=0, le=_DAY_S, description="Seconds that a model may take to load and to answer a blank image."
    )
    request_timeout_s: float = Field(30.0, gt=0, le=_DAY_S, description="Seconds after which a request is given up.")
    drain_s: float = Field(0.0, ge=0, le=_DAY_S, description="Seconds from a stop's signal to the closing of the port.")
    grace_s: float = Field(20.0, ge=0, le=_DAY_S, description="Seconds from then for accepted requests to be answered.")
    log_level: LogLevel = Field("info", description="Least that is logged.")
    log_format: LogFormat = Field("auto", description="`auto` is text on a terminal, else one JSON object a line.")


def injected_variables() -> list[str]:
    """Return the variables that are ignored because Kubernetes has set them to the address of a Service."""
    names = ("SCS_PORT", "SCS_GRPC_PORT")
    return [name for name in names if re.fullmatch(_INJECTED, os.environ.get(name, ""))]


LIMITS_OF_MATCHES = ("max_pixels", "max_templates", "max_match_pixels", "max_match_work")


def without_limits(settings: Settings) -> Settings:
    """Lift the limits of matches that were not set: they protect a service, not a command on one's own machine."""
    lifted = {name: sys.maxsize for name in LIMITS_OF_MATCHES if name not in settings.model_fields_set}
    return settings.model_copy(update=lifted)


def read_settings(**given: Any) -> Settings:
    """Read the settings from the environment; those given here win, unless they are None.

    Raises:
        OptionError: the first that is wrong, by the name of its variable.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "key":  # a secret, which must not be shown
            raise OptionError(f"SCS_API_KEY: {first['msg']}") from None
        raise OptionError(
            f"SCS_{str(first['loc'][0]).upper()}: {first['msg'].lower()}; '{first['input']}' came"
        ) from None
