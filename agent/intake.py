"""What of a run's readings is a fact: declared, a number, once for each thing."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.logs import mask
from collectors.base import Labels, Metric, Reading
from collectors.storable import storable


@dataclass(frozen=True, slots=True)
class Taken:
    """The readings that count; what was refused makes the run a failure, what was repeated is only said."""

    readings: tuple[Reading, ...]
    refused: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()


class Intake:
    """Takes one collector's readings in. `instance` is a named instance's name, "" where there is only one.

    Raises ValueError where an instance's label `name` would hide a label of the collector's own.
    """

    def __init__(self, declared: Mapping[str, Metric], instance: str) -> None:
        self._declared = declared
        self._extra: Labels = (("name", instance),) if instance else ()
        taken = [metric.name for metric in declared.values() if instance and "name" in metric.labels]
        if taken:
            raise ValueError(f'{taken[0]} has a label "name" of its own: this collector cannot have named instances')

    def take(self, readings: Iterable[Reading]) -> Taken:
        """Of readings of the same thing the last one counts."""
        kept: dict[tuple[str, Labels], Reading] = {}
        refused: dict[str, None] = {}  # an ordered set
        repeated: dict[str, None] = {}
        for reading in readings:
            fault = self._fault(reading)
            if fault:
                refused[fault] = None
                continue
            key = (reading.metric, reading.labels)
            if key in kept:
                repeated[_shown(reading)] = None
            kept[key] = reading
        return Taken(tuple(map(self._completed, kept.values())), tuple(refused), tuple(repeated))

    def own_labels(self, labels: Labels) -> dict[str, str]:
        """Labels as the collector itself knows them."""
        return dict(label for label in labels if label not in self._extra)

    def declares(self, metric: str) -> bool:
        return metric in self._declared

    def _fault(self, reading: Reading) -> str:
        metric = self._declared.get(reading.metric)
        if metric is None:
            return f"{reading.metric} is not declared in the collector's file"
        if {name for name, _ in reading.labels} != set(metric.labels):
            return f"{_shown(reading)} must have the labels {', '.join(metric.labels) or '(none)'}"
        if math.isnan(reading.value):  # infinity may be a fact ("never full"), this cannot
            return f"{_shown(reading)} is not a number"
        return ""

    def _completed(self, reading: Reading) -> Reading:
        plain = all(value.isascii() for _, value in reading.labels)
        if plain and not self._extra and not reading.note:
            return reading
        labels = tuple(sorted((*((name, storable(value)) for name, value in reading.labels), *self._extra)))
        return dataclasses.replace(reading, labels=labels, note=mask(storable(reading.note)))


def _shown(reading: Reading) -> str:
    labels = ",".join(f'{name}="{value}"' for name, value in reading.labels)
    return f"{reading.metric}{{{labels}}}" if labels else reading.metric
