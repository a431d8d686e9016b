"""A plugin of LocalStack's core: see infra/localstack."""
