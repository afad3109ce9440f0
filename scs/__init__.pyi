# The door as type checkers and editors see it; __init__.py imports these names when they are used. A stub, because
# only here may `scs` name `models` and `service`: nothing in it is ever imported.
from models.imports.exporting import export as export
from models.runtime.load import load_model as load_model
from scs.errors import ProblemError as ProblemError
from scs.errors import ScsError as ScsError
from scs.matching.deformable.parts import PartsTemplate as PartsTemplate
from scs.matching.finding import find as find
from scs.matching.finding import heatmap as heatmap
from scs.matching.found import Found as Found
from scs.matching.found import Match as Match
from scs.matching.options import Search as Search
from scs.matching.scores import score_map as score_map
from scs.matching.scoring.maps import ScoreMap as ScoreMap
from scs.nn.layers import MaxAbsPool1d as MaxAbsPool1d
from scs.nn.layers import MaxAbsPool2d as MaxAbsPool2d
from scs.nn.layers import SharpenedCosineSimilarity1d as SharpenedCosineSimilarity1d
from scs.nn.layers import SharpenedCosineSimilarity2d as SharpenedCosineSimilarity2d
from scs.nn.layers import SharpenedCosineSimilarity3d as SharpenedCosineSimilarity3d
from scs.nn.pooling import max_abs_pool as max_abs_pool
from scs.nn.similarity import sharpened_cosine_similarity as sharpened_cosine_similarity
from service.client.activations import Activations as Activations
from service.client.async_client import AsyncClient as AsyncClient
from service.client.client import Client as Client
from service.client.matches import Matches as Matches
from service.client.prediction import Prediction as Prediction

__all__ = [
    "Activations",
    "AsyncClient",
    "Client",
    "Found",
    "Match",
    "Matches",
    "MaxAbsPool1d",
    "MaxAbsPool2d",
    "PartsTemplate",
    "Prediction",
    "ProblemError",
    "ScoreMap",
    "ScsError",
    "Search",
    "SharpenedCosineSimilarity1d",
    "SharpenedCosineSimilarity2d",
    "SharpenedCosineSimilarity3d",
    "export",
    "find",
    "heatmap",
    "load_model",
    "max_abs_pool",
    "score_map",
    "sharpened_cosine_similarity",
]
