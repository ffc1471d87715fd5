"""The load tests of the cluster as Locust runs them.

``locust -f loadtest/locustfile.py --headless --scenario loadtest/scenarios/two-minutes.yaml``, or with ``--master`` and
``--worker`` on several cores and machines. docs/load-testing.md says how to run them and how to read what they write.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import grpc.experimental.gevent
from locust import LoadTestShape, User, events, task
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner, Runner, WorkerRunner

from cluster.runtime import RuntimeDirectory
from deployments.document import ConfigError
from loadtest.arrivals.schedule import schedule
from loadtest.exchanges import bodies
from loadtest.exchanges.wire import Wire
from loadtest.running.follower import Follower
from loadtest.running.leader import Leader
from loadtest.running.messages import BEGIN, REPORT, Beginning, Progress
from loadtest.running.reach import Reach
from loadtest.scenario.scenario import load_scenario
from loadtest.traces.row import TraceError

grpc.experimental.gevent.init_gevent()
# One line for each request would be all that a console shows.
logging.getLogger("httpx").setLevel(logging.WARNING)

SPAWN_RATE = 20.0
LOCAL = "local"
ADMIN_KEY = "DLLM_ADMIN_KEY"


class Client(User):
    """One client with connections of its own. It sends what is due, whatever has become of what it sent before."""

    follower: Follower
    _wire: Wire | None = None

    @task
    def serve(self) -> None:
        self._wire = self.follower.wire()
        self.follower.serve(self._wire)

    def on_stop(self) -> None:
        """Its requests may still be under way."""
        if self._wire is not None:
            self._wire.retire()


class Course(LoadTestShape):
    """As many clients as the shape of the scenario says, until every request has ended."""

    leader: Leader

    def tick(self) -> tuple[int, float] | None:
        runner = self.runner
        if not isinstance(runner, MasterRunner) and runner is not None:
            self.leader.take(LOCAL, Client.follower.progress(), runner.current_cpu_usage)
        count = runner.worker_count if isinstance(runner, MasterRunner) else 1
        clients = self.leader.clients(count)
        return None if clients is None else (clients, SPAWN_RATE)


def hooks_of(environment: Environment) -> Any:
    """Where one listens to Locust, which says nothing of their types."""
    return environment.events


def add_arguments(parser: ArgumentParser, **_: Any) -> None:
    """What a load test is told besides Locust's own options."""
    group = parser.add_argument_group("dLLM cluster")
    group.add_argument("--scenario", type=str, required=False, help="The file of the scenario")
    group.add_argument("--report", type=str, default="runs/load", help="The folder for the report")
    group.add_argument("--base-url", type=str, env_var="DLLM_BASE_URL", help="Ends in /v1; else the cluster here")
    group.add_argument("--grpc-address", type=str, env_var="DLLM_GRPC_ADDRESS", help="As 127.0.0.1:9000")
    group.add_argument("--admin-url", type=str, env_var="DLLM_ADMIN_URL", help="As http://127.0.0.1:8001")
    # The key of the operator has no option: the arguments of a process can be read by others.


def prepare(environment: Environment, runner: Runner, **_: Any) -> None:
    """Read the scenario, and take one's part: that of a worker, of the master, or both."""
    options = environment.parsed_options
    if options is None or not options.scenario:
        sys.exit("--scenario is not given")
    path = Path(options.scenario)
    try:
        scenario = load_scenario(path)
        arrivals = schedule(scenario, path.parent)
    except (ConfigError, TraceError) as error:
        sys.exit(f"{path}: {error}")
    Client.follower = Follower(scenario, arrivals, environment.events.request)
    if not isinstance(runner, MasterRunner):
        bodies.prepare()
    if isinstance(runner, WorkerRunner):
        follow(environment, runner)
        return
    given = {"base_url": options.base_url, "grpc_address": options.grpc_address, "admin_url": options.admin_url}
    try:
        reach = Reach.of(given | {"admin_key": os.environ.get(ADMIN_KEY)}, RuntimeDirectory.of_user().read())
    except ConfigError as error:
        sys.exit(str(error))
    Course.leader = Leader(scenario, arrivals, reach, Path(options.report))
    lead(environment, runner)


def follow(environment: Environment, runner: WorkerRunner) -> None:
    """Begin when the master says so, and report to it what was seen."""
    follower, hooks = Client.follower, hooks_of(environment)

    def begin(msg: Message, **_: Any) -> None:
        follower.begin(Beginning.of_json(msg.data))

    def report(data: dict[str, Any], **_: Any) -> None:
        data[REPORT] = follower.progress().as_json()

    runner.register_message(BEGIN, begin)
    hooks.report_to_master.add_listener(report)
    hooks.test_stop.add_listener(lambda **_: follower.stop())


def lead(environment: Environment, runner: Runner) -> None:
    """Have every process begin, gather what they have seen, and set the exit status."""
    leader, hooks = Course.leader, hooks_of(environment)
    if isinstance(runner, MasterRunner):
        lead_workers(environment, runner)
    else:
        lead_alone(environment, runner)
    hooks.quitting.add_listener(lambda **_: leader.close())


def lead_workers(environment: Environment, master: MasterRunner) -> None:
    """Other processes ask."""
    leader, hooks = Course.leader, hooks_of(environment)

    def begin(name: str, beginning: Beginning) -> None:
        master.send_message(BEGIN, beginning.as_json(), client_id=name)

    def take(client_id: str, data: dict[str, Any]) -> None:
        worker = master.clients.get(client_id)
        leader.take(client_id, Progress.of_json(data[REPORT]), 0.0 if worker is None else worker.cpu_usage)

    def stop(**_: Any) -> None:
        environment.process_exit_code = leader.stop()

    hooks.test_start.add_listener(lambda **_: leader.start(sorted(each.id for each in master.clients.ready), begin))
    hooks.worker_report.add_listener(take)
    hooks.test_stop.add_listener(stop)


def lead_alone(environment: Environment, runner: Runner) -> None:
    """This process asks."""
    leader, follower, hooks = Course.leader, Client.follower, hooks_of(environment)

    def stop(**_: Any) -> None:
        follower.stop()
        leader.take(LOCAL, follower.progress(), runner.current_cpu_usage)
        environment.process_exit_code = leader.stop()

    hooks.test_start.add_listener(lambda **_: leader.start([LOCAL], lambda _, beginning: follower.begin(beginning)))
    hooks.test_stop.add_listener(stop)


hooks: Any = events
hooks.init_command_line_parser.add_listener(add_arguments)
hooks.init.add_listener(prepare)
