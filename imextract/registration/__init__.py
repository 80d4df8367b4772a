"""From a folder of microscope files to the plan of its planes."""
