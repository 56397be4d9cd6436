"""One file per tab: components and thin handlers."""
