"""Fillrate on LocalStack's own core, without Docker and without a licence: `make localstack`.

It is a hybrid. LocalStack does CloudFormation, the REST gateway, Lambda with both event sources, SQS, IAM, EventBridge,
Logs, S3 and Secrets Manager; our plugin runs the functions as child processes in place of its containers, and forwards
DynamoDB and its streams to MiniStack in place of the DynamoDB Local that it would download.
"""
