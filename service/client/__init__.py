"""A client of the service, for programs and for the command line."""

from service.client.async_client import AsyncClient as AsyncClient
from service.client.client import Client as Client
