"""Puts the library into the wheel: LIBRARY, for PLATFORM. build.sh sets both."""

from __future__ import annotations

import os
import sysconfig
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Library(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        platform = os.environ.get("PLATFORM") or sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        # ctypes asks nothing of the interpreter: one wheel serves every CPython.
        build_data["tag"] = f"py3-none-{platform}"
        build_data["force_include"][os.environ["LIBRARY"]] = "pocketrank/libpocketrank.so"
