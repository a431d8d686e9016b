"""What can keep an operation from being carried out, apart from what AWS or Solana answer."""


class OperationError(Exception):
    """The operation can't be carried out; the text says what to change."""


class NoStage(OperationError):
    """It isn't known where the stage is, or it is not deployed there."""


class UnfitOption(OperationError, ValueError):
    """What the operator asks for is out of bounds; the text names the option."""


class UnfitSearch(OperationError):
    """What is to be searched for is no pair of tokens, or the search can't be trusted; the text says why."""


class UnfitPool(OperationError):
    """The address is no pool that can be traded; the text says why."""
