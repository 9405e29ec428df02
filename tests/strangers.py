"""An import-linter contract: plug-ins of one kind never reach each other, not even by way of a helper.

Which modules are plug-ins is asked of `agent.plugins`, the one place that knows; so no list has to be edited.
"""

from itertools import permutations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

from agent import plugins


class Strangers(Contract):
    """`package = "collectors"`: the package whose plug-ins must be strangers to each other."""

    package = fields.StringField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        names = {"collectors": plugins.collectors, "alerts.notifiers": plugins.notifiers}[str(self.package)]()
        inside = sorted(graph.find_children(str(self.package)) & {f"{self.package}.{name}" for name in names})
        chains = [graph.find_shortest_chain(one, other) for one, other in permutations(inside, 2)]
        broken = [" -> ".join(chain) for chain in chains if chain]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for chain in check.metadata["broken"]:
            output.print_error(chain)
        output.print("What two plug-ins share belongs in a helper module beside them that is no plug-in itself.")
