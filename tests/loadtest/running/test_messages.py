from __future__ import annotations

import json

from loadtest.running.messages import Beginning, Progress
from tests.loadtest.cases import sample


def test_messages_survive_the_way_between_processes() -> None:
    beginning = Beginning(1, 3, "digest", "http://cluster/v1", None, {"acme": "a-key"})
    progress = Progress([sample(), sample(first_commit=None, gaps=())], 7)
    assert Beginning.of_json(json.loads(json.dumps(beginning.as_json()))) == beginning
    assert Progress.of_json(json.loads(json.dumps(progress.as_json()))) == progress
