"""The tables of machines with a GPU: one card, whatever there is."""
