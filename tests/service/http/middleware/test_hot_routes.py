import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient
from starlette.middleware import Middleware
from starlette.routing import Route

from scs.errors import BusyError
from service.http.middleware.hot_routes import HotRoutes
from service.http.problems import PROBLEM_HANDLERS


class Mark:
    """Middleware that writes its name on every answer."""

    def __init__(self, app, name):
        self.app, self.name = app, name

    async def __call__(self, scope, receive, send):
        async def marked(message):
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-mark", self.name))
            await send(message)

        await self.app(scope, receive, marked)


@pytest.fixture
def client():
    async def hot(request: Request) -> Response:
        failing = request.path_params.get("name")
        if failing == "busy":
            raise BusyError("full", 7)
        if failing == "broken":
            raise RuntimeError("a secret")
        return Response(f"hot {request.path_params} {request.scope['route'].path_format} {request.app is app}")

    hot_routes = [Route("/things/{name}", hot, methods=["POST"])]
    app = FastAPI(
        exception_handlers=PROBLEM_HANDLERS,
        middleware=[
            Middleware(Mark, name=b"outer"),
            Middleware(HotRoutes, routes=hot_routes, handlers=PROBLEM_HANDLERS),
        ],
    )

    @app.post("/things/{name}")
    @app.post("/cold")
    async def cold() -> str:
        return "cold"

    @app.get("/things/{name}")
    async def shown(name: str) -> str:
        return f"shown {name}"

    return TestClient(app, raise_server_exceptions=False)


def test_a_hot_route_is_answered_without_the_framework_and_knows_its_name_and_its_application(client):
    assert client.post("/things/a").text == "hot {'name': 'a'} /things/{name} True"


@pytest.mark.parametrize("path", ["/cold", "/things/a/b", "/things/"])
def test_any_other_path_is_the_frameworks(client, path):
    assert "hot" not in client.post(path).text


def test_another_method_on_the_same_path_is_the_frameworks(client):
    assert client.get("/things/a").json() == "shown a"


def test_the_middleware_outside_is_passed_on_either_way(client):
    assert client.post("/things/a").headers["x-mark"] == client.post("/cold").headers["x-mark"] == "outer"


def test_failures_are_the_same_problems_as_elsewhere(client):
    busy = client.post("/things/busy")
    assert (busy.status_code, busy.headers["retry-after"], busy.json()["detail"]) == (503, "7", "full")


def test_what_nobody_foresaw_is_for_those_outside(client):
    with pytest.raises(RuntimeError, match="a secret"):
        TestClient(client.app).post("/things/broken")
