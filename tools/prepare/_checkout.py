"""Importing this lets the tools of a checkout run the checkout's package.

Not an older copy that is installed; beside the installed tools lies no
package.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
