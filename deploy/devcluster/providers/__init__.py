"""The three ways to have a cluster, behind one small interface, and the choice between them."""
