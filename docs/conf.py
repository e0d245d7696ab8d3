"""How the documentation is built: the Markdown pages of this folder, and the API from the docstrings."""

from importlib import metadata

project = "ceteris"
author = copyright = "The ceteris developers"
release = metadata.version("ceteris")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
# Pages link to files of the project that are not pages; tests/test_docs.py checks that those exist.
suppress_warnings = ["myst.xref_missing"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
add_module_names = False
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"ceteris {release}"
html_show_sourcelink = False
