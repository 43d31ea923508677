"""Build step of the package: the MJCF assets live beside it in the repository and inside it in a wheel."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ASSETS = "assets_mjcf"


class BuildWithAssets(build_py):
    """Copies the assets into the built package; an editable install finds them beside the package instead."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            source = Path(__file__).resolve().parent / ASSETS
            shutil.copytree(source, Path(self.build_lib) / "mjx_skillmimic" / ASSETS, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithAssets})
