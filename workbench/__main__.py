"""`python -m workbench`."""

from workbench.cli import main
from workbench.settings import keep_private

keep_private()
raise SystemExit(main())
