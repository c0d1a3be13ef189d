"""Loads the fixtures wherever tests run."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Spare the process that only hands the tests out what takes it seconds.

    The workers would wait for it. So ``pytest --fixtures`` lists ours with ``-n 0``.
    """
    if hasattr(config, 'workerinput') or not config.getoption('numprocesses', None):
        config.pluginmanager.import_plugin('shared_fixtures')
