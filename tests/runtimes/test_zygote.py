"""Attempts forked from a zygote: they keep the runtime's contract, and look like cold starts from within."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from simulator.runtimes.process import Isolation, ZygoteRuntime
from simulator.runtimes.process.isolation import problem_with
from tests.runtimes.contract import RuntimeContract, ShutInContract


class _Zygotes(ShutInContract):
    @pytest.fixture(autouse=True)
    def forks(self, runtime: ZygoteRuntime) -> Iterator[None]:
        yield
        assert runtime.cold_because == ""


class TestNamespaces(_Zygotes):
    @pytest.fixture
    def runtime(self) -> Iterator[ZygoteRuntime]:
        if os.geteuid() != 0 or problem_with(Isolation.NAMESPACES):
            pytest.skip("needs root and namespaces")
        runtime = ZygoteRuntime(isolation=Isolation.NAMESPACES)
        yield runtime
        runtime.close()


class TestUserNamespaces(_Zygotes):
    @pytest.fixture
    def runtime(self) -> Iterator[ZygoteRuntime]:
        if problem_with(Isolation.USER_NAMESPACES):
            pytest.skip("user namespaces are not allowed here")
        runtime = ZygoteRuntime(isolation=Isolation.USER_NAMESPACES)
        yield runtime
        runtime.close()


class TestPlain(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> ZygoteRuntime:
        return ZygoteRuntime(isolation=Isolation.PLAIN)

    def test_it_says_that_attempts_start_cold(self, runtime: ZygoteRuntime, start: object) -> None:
        runtime._zygote_for  # noqa: B018
