"""What models see: definitions, point-in-time joins, materialisation, serving, audit (not yet built)."""

if not __name__.startswith("dataplat."):  # a second copy of every class would differ from the first
    raise ImportError("import it as dataplat.feature_store: the repository root on sys.path gives a second copy")
