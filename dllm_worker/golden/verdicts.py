"""What comes of comparing engine and reference, case by case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dllm_worker.golden.compare import first_difference
from dllm_worker.golden.families import SCENARIOS
from dllm_worker.golden.folders import DECODE, Folder, family_folders, load_checkpoint, read_folder
from dllm_worker.golden.record import GoldenError, Record
from dllm_worker.golden.replay import replay
from dllm_worker.models.files import LoadError
from dllm_worker.models.loading import LoadedModel
from dllm_worker.spec import SpecError


@dataclass(frozen=True, slots=True)
class Verdict:
    """``difference`` is ``None`` where engine and reference are identical."""

    family: str
    name: str
    difference: str | None

    def __str__(self) -> str:
        return f"{self.family}/{self.name}: {self.difference or 'identical'}"


def verdicts(path: Path) -> Iterator[Verdict]:
    """One for each case of the folder ``path``, or of the family folders in it; one for a folder that has none."""
    for place in family_folders(path):
        try:
            folder = read_folder(place)
            model = load_checkpoint(folder)
        except LoadError as error:
            yield Verdict(place.name, "*", str(error))
            continue
        except GoldenError as error:
            yield Verdict(place.name, "*", f"{place / DECODE}: {error}")
            continue
        for case in folder.cases:
            yield judge(folder, case, model)


def judge(folder: Folder, case: Record, model: LoadedModel) -> Verdict:
    """Replay one case."""
    name = case.where
    try:
        name = case.text("name")
        scenario = SCENARIOS[folder.family](case, model.spec)
        return Verdict(folder.family, name, first_difference(scenario, replay(scenario, model)))
    except (GoldenError, SpecError) as error:
        return Verdict(folder.family, name, f"{folder.path / DECODE}: {error}")
