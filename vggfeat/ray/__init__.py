"""Parts of a dataset, computed by a Ray cluster: `--ray`.

    driver: parts that are not done -> Ray Data: from_items -> map_batches over a pool of actors
    actor: compute_parts, as in a local run: reads, decodes, computes, writes whole parts
    driver: a record of each part

An actor has a GPU, or a group of processors. No image and no vector passes through the driver. The
weights are in the object store, once a node, where all actors of the node read them. An actor with
a GPU has its images decoded by tasks on the processors of the cluster; where processors compute as
well, each decodes what it computes, as moving pixels would gain nothing.

Retries are Ray's: of an actor that dies, with its node or alone, and of the part that it was at.
A part that it had finished is not computed again.
"""

from vggfeat.ray.cluster import Cluster
from vggfeat.ray.connection import connected

__all__ = ["Cluster", "connected"]
