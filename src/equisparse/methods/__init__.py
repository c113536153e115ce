"""Methods: how changes of a model are trained, one file each."""
