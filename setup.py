"""Build script; the metadata is in ``setup.cfg``."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithMim(build_py):
    """Put what the ``mim`` command line needs into the wheel, as ``.mim``.

    It is written into the build directory only: a ``.mim`` in the source
    tree would break ``mim`` on an editable installation.
    """

    def run(self) -> None:
        """Build the modules, then copy the configs and the tools."""
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib, 'mmdet_ifan', '.mim')
        shutil.rmtree(mim, ignore_errors=True)
        ignore = shutil.ignore_patterns(
            '__pycache__', 'bench*', 'setup_env.py', 'write_tables.py'
        )
        for folder in ('configs', 'tools'):
            shutil.copytree(folder, mim / folder, ignore=ignore)
        shutil.copy('model-index.yml', mim)


setup(cmdclass={'build_py': BuildWithMim})
