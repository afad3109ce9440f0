from models.cards.card import ServingCard
from service.oip.triton_config import model_config


def test_a_models_own_limits_are_in_its_configuration(client, settings):
    card = client.app.state.services.models.get("shapes-scs").card
    own = ServingCard(max_batch_size=7, max_queue_delay_us=500, max_queue=9, timeout_s=2.5)
    config = model_config(card.model_copy(update={"serving": own}), "cuda", settings)
    batching = config["dynamic_batching"]
    assert (config["max_batch_size"], batching["max_queue_delay_microseconds"]) == (7, 500)
    assert batching["default_queue_policy"]["max_queue_size"] == 9
    assert batching["default_queue_policy"]["default_timeout_microseconds"] == 2_500_000
    assert config["instance_group"][0]["kind"] == "KIND_GPU"


def test_without_limits_of_its_own_a_model_has_those_of_the_service(client, settings):
    card = client.app.state.services.models.get("shapes-scs").card
    config = model_config(card, "cpu", settings)
    assert config["max_batch_size"] == settings.max_batch_size
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 0
