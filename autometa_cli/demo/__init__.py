"""The demo: a cast of workflows on a chain of one's own, executed by real services and judged by the chain."""
