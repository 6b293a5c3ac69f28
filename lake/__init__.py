"""Where data lies: stores, Parquet parts, canonical values and the content id, scans."""

if not __name__.startswith("dataplat."):  # a second copy of every class would differ from the first
    raise ImportError("import it as dataplat.lake: the repository root on sys.path gives a second copy")
