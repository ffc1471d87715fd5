from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.deployments.state.servers import Place
from tests.deployments.tenancy.limits.attempts import LIMIT, TENANTS

ROOT = Path(__file__).parents[4]
GATEWAYS = 4
THREADS = 8
ATTEMPTS = 100


def test_limit_holds_with_many_ingresses(valkey: Place) -> None:
    """Each of 4 gateways' 8 threads alone asks for more than its share; together they get exactly the limit."""
    program = [sys.executable, "-m", "tests.deployments.tenancy.limits.attempts", valkey.url]
    with ExitStack() as stack:
        gateways = [
            stack.enter_context(
                subprocess.Popen(
                    [*program, str(number), str(THREADS), str(ATTEMPTS)],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(GATEWAYS)
        ]
        for gateway in gateways:
            stack.callback(gateway.kill)
            assert gateway.stdout is not None
            assert gateway.stdout.readline() == "ready\n"
        for gateway in gateways:
            assert gateway.stdin is not None
            gateway.stdin.write("go\n")
            gateway.stdin.flush()
        answers = [gateway.communicate()[0] for gateway in gateways]
    admitted = sum((Counter(json.loads(answer)) for answer in answers), Counter[str]())
    assert admitted == {tenant.name: LIMIT for tenant in TENANTS}
