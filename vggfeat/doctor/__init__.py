"""`vggfeat doctor`: what the machine has, and whether `vggfeat extract` will run on it."""
