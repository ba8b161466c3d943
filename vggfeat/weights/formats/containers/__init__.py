"""Files within which numbers are kept, whatever they mean: zip, HDF5, pickles, tables."""
