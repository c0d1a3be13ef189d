"""The error whose message is all that a user needs."""


class DataError(ValueError):
    """An input is not what it should be; the message says how to fix it.

    Command line tools print the message and exit with code 2.
    """
