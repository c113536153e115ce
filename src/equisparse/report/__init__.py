"""Reports: figures and tables from the files of a run, without a model."""
