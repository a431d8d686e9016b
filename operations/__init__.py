"""What an operator does to a deployed stage, as typed functions; `operations.commands` is their command line.

Nothing here prints or parses a command line: functions return what they found out and raise OperationError, or the
errors of boto3 and of chalicelib/problems.py. Limits and kill switches are set here by the operator, and by no
deployed function.
"""
