"""Settings of the site that ``make docs`` builds from these pages."""

from mmdet_ifan import __version__

project = 'mmdet_ifan'
author = copyright = 'The mmdet_ifan contributors'
release = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.apidoc',
    'sphinx.ext.autodoc',
    'sphinx.ext.mathjax',
    'sphinx.ext.napoleon',
]
exclude_patterns = ['data']
# Links to the headings of a page, as GitHub makes them.
myst_heading_anchors = 3
# Two private helpers may have one name; their links are of no use.
suppress_warnings = ['ref.python']

# A page for each package, from its docstrings.
apidoc_modules = [dict(path='../mmdet_ifan', destination='api', module_first=True)]
autodoc_default_options = {
    'ignore-module-all': True,
    'members': True,
    'show-inheritance': True,
}
# Types are in the docstrings.
autodoc_typehints = 'none'
napoleon_use_ivar = True

html_theme = 'furo'
html_title = f'mmdet_ifan {__version__}'
