"""Plain HTTP routes beside the page: health, and what the live panel polls."""
