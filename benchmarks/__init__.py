"""The measured tables: whole processes beside their peers and limits, in the same run."""
