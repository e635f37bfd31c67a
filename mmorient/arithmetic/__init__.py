"""How numbers are computed: in tiles of fixed shape, proved on the machine at hand. It knows shapes, not posts."""
