"""What is generated from the service's documents is what they say today, and the client knows every field of them."""

from __future__ import annotations

import pytest
from fillrate import models, schemas
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from quality.code_generation import client_models, documents
from quality.code_generation.__main__ import CLIENT_MODELS

SCHEMAS = documents.schemas()
READ_AS: dict[str, type[BaseModel]] = {
    "AcceptedOrder": models.Accepted,
    "Balance": models.Balance,
    "BalanceList": models.BalanceList,
    "CancelledOrders": models.CancelledOrders,
    "FillList": models.FillList,
    "FillSum": models.FillSum,
    "Health": models.Health,
    "HistoryStep": models.Step,
    "Leftover": models.Leftover,
    "ListedOrder": models.Order,
    "ListedToken": models.Token,
    "OrderFill": models.OrderFill,
    "OrderList": models.OrderPage,
    "PoolFee": models.PoolFee,
    "PoolName": models.PoolName,
    "PoolOffer": models.PoolOffer,
    "Quote": models.Quote,
    "QuoteErrorMessage": models.NoQuote,
    "RouteFee": models.Fee,
    "RouteLeg": models.Leg,
    "ShownOrder": models.Order,
    "StatusMessage": models.StatusEvent,
    "TokenRisk": schemas.TokenRisk,
    "Trigger": models.Trigger,
    "WsTicket": models.Ticket,
}
# Read by other means: a quote's message is read as a Quote, errors become exceptions, the checks of health stay JSON.
# The rest is not for a program to read.
NOT_READ = {
    *("Problem", "WrongField", "HealthCheck", "Status", "TriggerKind", "TokenList", "OpenApi", "AsyncApi"),
    *("SubscribedMessage", "UnsubscribedMessage", "PongMessage", "ErrorMessage"),
    *("QuoteMessage", "QuotesBegunMessage", "QuotesEndedMessage", "QuotesMessage", "QuotesEndMessage"),
    *("OrderRequest", "OrderChangeRequest", "TicketRequest", "ClientMessage"),
    *("RepeatedOrTried", "DryRun", "Refusal", "Simulation"),
}


def test_the_committed_models_of_the_client_are_what_the_documents_say() -> None:
    assert CLIENT_MODELS.read_text() == client_models.source(SCHEMAS), "run `make models` and commit"


def test_the_client_reads_every_schema_of_an_answer() -> None:
    assert READ_AS.keys() | NOT_READ == SCHEMAS.keys()


@pytest.mark.parametrize("schema", READ_AS)
def test_the_clients_model_has_every_property_of_the_schema(schema: str) -> None:
    assert SCHEMAS[schema]["properties"].keys() <= {to_camel(name) for name in READ_AS[schema].model_fields}
