"""Settings of `matting cluster`."""

from dataclasses import field
from typing import Annotated

from pydantic import Field

from runtime.settings import settings_group

from ..images.settings import Settings as ImagesRunSettings


@settings_group("")
class ClusterSettings:
    """The cluster and its actors. Each actor holds one network."""

    address: str = "auto"
    """auto: the cluster that this machine is part of, or that RAY_ADDRESS names; HOST:PORT:
    another; local: start Ray on this machine alone, for this run."""
    actors: Annotated[int, Field(ge=1)] | None = None
    """Actors at most; as many as the cluster has room for if not given."""
    cpus_per_actor: Annotated[int, Field(ge=1)] = 2
    """Cores that each actor reserves, and threads of its network."""
    gpus_per_actor: Annotated[float, Field(ge=0)] | None = None
    """GPUs that each actor reserves; 0.5 lets two share one. 1 if the cluster has GPUs, else 0, if
    not given."""


@settings_group()
class Settings(ImagesRunSettings):
    """All settings of the program."""

    cluster: ClusterSettings = field(default_factory=ClusterSettings)
