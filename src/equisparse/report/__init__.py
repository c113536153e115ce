"""Reports: figures and tables from plain numbers; no model."""
