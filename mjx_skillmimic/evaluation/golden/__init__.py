"""Golden vectors: published inputs and outputs that our pure functions must reproduce, checked file by file."""
