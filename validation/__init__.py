"""Whether to trust data: contracts, checked before a branch moves."""

if not __name__.startswith("dataplat."):  # a second copy of every class would differ from the first
    raise ImportError("import it as dataplat.validation: the repository root on sys.path gives a second copy")
