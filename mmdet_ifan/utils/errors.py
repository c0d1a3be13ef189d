"""The error whose message is all that a user needs."""


class DataError(ValueError):
    """A data root is not what it should be; the message says what to do.

    Command line tools print it as it is and exit with code 2.
    """
