"""LocalStack's DynamoDB and streams, forwarded to another emulator: FILLRATE_DYNAMODB_URL.

LocalStack forwards both to DynamoDB Local, which it downloads and starts. Its own front stays: it is the server behind
it that is another, which keeps streams under their own ARNs.
"""

from __future__ import annotations

import os
from typing import Any

from localstack.aws.forwarder import AwsRequestProxy
from localstack.runtime import hooks

URL_VARIABLE = "FILLRATE_DYNAMODB_URL"


@hooks.on_infra_start()
def forward_dynamodb() -> None:
    """Called by LocalStack before its services start."""
    address = os.environ[URL_VARIABLE]
    from localstack.services.dynamodb.server import DynamodbServer
    from localstack.services.dynamodbstreams.v2.provider import DynamoDBStreamsProvider

    initialize = DynamodbServer.__init__

    def initialize_elsewhere(server: Any, *arguments: Any, **named: Any) -> None:
        initialize(server, *arguments, **named)
        server.proxy = AwsRequestProxy(address)

    DynamodbServer.__init__ = initialize_elsewhere
    DynamodbServer.url = property(lambda _: address)
    DynamodbServer.start_dynamodb = lambda _: True
    DynamodbServer.stop_dynamodb = lambda _: None
    DynamoDBStreamsProvider.modify_stream_arn_for_ddb_local = lambda _, arn: arn
