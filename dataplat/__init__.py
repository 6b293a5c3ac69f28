"""dataplat: data is immutable and named by its content, so everything computed from it is computed once."""
