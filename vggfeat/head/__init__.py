"""The new fc8: a linear classifier of features, fitted on them while the network is frozen."""
