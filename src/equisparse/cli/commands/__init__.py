"""All commands; each imports its task when it runs, so that the help stays fast."""

from equisparse.cli.command import Command
from equisparse.cli.commands.adapter import Combine, Diff, Extract, Inspect, Merge
from equisparse.cli.commands.data import Audit, Evaluate, Explore, Select
from equisparse.cli.commands.magnetism import Orders
from equisparse.cli.commands.run import Attribute, Compare, Export, Pick, Probe, Properties, Report
from equisparse.cli.commands.sharing import Card, Push, Search
from equisparse.cli.commands.train import Ensemble, Finetune, Sparsify

PANELS: dict[str, tuple[type[Command], ...]] = {
    "Fine-tune": (Audit, Finetune, Sparsify, Ensemble),
    "Evaluate": (Evaluate, Explore, Select, Probe, Properties, Attribute, Report, Compare, Export),
    "Adapters": (Inspect, Pick, Diff, Combine, Merge, Extract, Card, Push, Search),
    "Magnetism": (Orders,),
}
"""Panel of the help -> its commands, in the order in which they are shown."""
