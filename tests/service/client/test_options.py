from typing import get_type_hints

import numpy as np
import pytest

from scs.errors import OptionError
from service.api.activations import ActivationOptions
from service.api.match import MatchOptions
from service.api.predict import PredictOptions
from service.client.options import _ITS_OWN, ActivationChoices, MatchChoices, PredictChoices, checked


@pytest.mark.parametrize(
    ("choices", "schema"),
    [(PredictChoices, PredictOptions), (ActivationChoices, ActivationOptions), (MatchChoices, MatchOptions)],
)
def test_every_option_of_the_service_can_be_chosen(choices, schema):
    theirs = {field.alias or name for name, field in schema.model_fields.items()} - _ITS_OWN
    assert {name.removesuffix("_") for name in get_type_hints(choices)} == theirs


def test_sequences_become_lists_with_commas():
    options = checked(MatchOptions, {"angles": np.arange(3), "scales": "0.5:2", "box": [1, 2, 3, 4], "region": None})
    assert (options.angles, options.scales, options.box, options.region) == ("0,1,2", "0.5:2", "1,2,3,4", None)
    assert checked(ActivationOptions, {"class_": 3}).class_name == "3"


@pytest.mark.parametrize(
    ("kind", "wrong", "said"),
    [
        (PredictOptions, {"top": 3}, "there is no option top; there are: model, version, top_k, resize$"),
        (PredictOptions, {"top_k": 0}, "top_k: .* greater than or equal to 1; '0' came"),
        (MatchOptions, {"box": (1.5, 2, 3, 4)}, "box: .*'1.5,2,3,4' came"),
        (ActivationOptions, {"method": "magic"}, "method: .*'magic' came"),
        (ActivationOptions, {"picture": "x"}, "there is no option picture"),
    ],
)
def test_what_is_no_option_is_refused_before_anything_is_sent(kind, wrong, said):
    with pytest.raises(OptionError, match=said):
        checked(kind, wrong)
