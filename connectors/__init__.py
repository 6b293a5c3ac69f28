"""Where data comes from: the Source contract and one package or file per source."""

if not __name__.startswith("dataplat."):  # a second copy of every class would differ from the first
    raise ImportError("import it as dataplat.connectors: the repository root on sys.path gives a second copy")
