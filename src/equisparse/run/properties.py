"""Files of `equisparse properties` in the folder of a run."""

from dataclasses import dataclass
from pathlib import Path

from equisparse.observables.rows import BandPoint, ElasticRow, PropertyRow, RadialPoint, StructureRow, VolumePoint
from equisparse.run.tables import TableFile


@dataclass(frozen=True)
class PropertiesFolder:
    """Files of `equisparse properties`; none of them has to exist.

    Parameters
    ----------
    path : Path
        Folder ``properties`` of a run.
    """

    path: Path

    @property
    def values(self) -> TableFile[PropertyRow]:
        """Properties of the base and of the fine-tuned model, and reference values: ``properties.csv``."""
        return TableFile(self.path / "properties.csv", PropertyRow)

    @property
    def structures(self) -> TableFile[StructureRow]:
        """Structures, their symmetry and notes: ``structures.csv``."""
        return TableFile(self.path / "structures.csv", StructureRow)

    @property
    def volumes(self) -> TableFile[VolumePoint]:
        """Points of the equations of state: ``volumes.csv``."""
        return TableFile(self.path / "volumes.csv", VolumePoint)

    @property
    def elastic(self) -> TableFile[ElasticRow]:
        """All elastic constants: ``elastic.csv``."""
        return TableFile(self.path / "elastic.csv", ElasticRow)

    @property
    def bands(self) -> TableFile[BandPoint]:
        """Phonon bands: ``bands.csv``."""
        return TableFile(self.path / "bands.csv", BandPoint)

    @property
    def radial(self) -> TableFile[RadialPoint]:
        """Radial distribution functions: ``rdf.csv``."""
        return TableFile(self.path / "rdf.csv", RadialPoint)

    @property
    def relaxed(self) -> Path:
        """Structures as both models relax them, with ``name`` and ``model`` in `info`: ``relaxed.extxyz``."""
        return self.path / "relaxed.extxyz"
