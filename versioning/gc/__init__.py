"""Collecting what nobody needs any more: leases, marking, retention, fences, and what writers ask of it."""
